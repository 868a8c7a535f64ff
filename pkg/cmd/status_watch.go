package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

const (
	// statusEvery is how often a watched status is looked at though nothing happens: ages grow, and crashes are forgotten.
	statusEvery = time.Second
	// statusPause is the shortest time between two pictures, however much happens.
	statusPause = 200 * time.Millisecond
	// recordEvery is how often the Flow's record is read again: another up may change its graph.
	recordEvery = 5 * time.Second
	// recordWait is how long that may hold up the pictures.
	recordWait = 2 * time.Second
)

// errTimedOut ends a watch whose time is up.
var errTimedOut = errors.New("timed out")

// follow shows the status whenever it changes.
func (o *statusOptions) follow(ctx context.Context, s *session, record rollout.Record) error {
	w := &statusWatch{statusOptions: o, session: s, record: record, recordAt: o.env.now(), screen: o.newScreen()}
	err := rollout.Follow(ctx, s.typed, rollout.FollowRequest{
		Namespace: s.namespace, Flow: record.Flow, Every: statusEvery, Pause: statusPause, Notice: w.screen.notice,
	}, func(objects rollout.Objects) bool { return w.see(ctx, objects) })
	switch {
	case w.err != nil:
		err = w.err
	case err == nil: // it is as --for says, even if the time was up just then
	case errors.Is(context.Cause(ctx), errTimedOut):
		return w.timedOut()
	}
	return interrupted(ctx, explain(err), "the Flow runs on")
}

// statusWatch is a status that is watched.
type statusWatch struct {
	*statusOptions
	session  *session
	record   rollout.Record
	recordAt time.Time
	screen   statusScreen
	last     rollout.FlowStatus
	err      error
}

// see takes in what there is now, and tells whether to go on.
func (w *statusWatch) see(ctx context.Context, objects rollout.Objects) bool {
	now := w.env.now()
	if now.Sub(w.recordAt) >= recordEvery {
		if w.err = w.readRecord(ctx, now); w.err != nil {
			return false
		}
	}
	w.last = rollout.Status(w.record, objects, now)
	if w.err = w.screen.show(w.last, now); w.err != nil {
		return false
	}
	return !w.reached()
}

// readRecord reads the Flow's record again. While the cluster does not answer, as the objects' watches say by themselves, the
// one that was read before is good enough.
func (w *statusWatch) readRecord(ctx context.Context, now time.Time) error {
	w.recordAt = now
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	record, err := w.session.record(ctx, w.record.Flow)
	var useless *recordError
	switch {
	case errors.As(err, &useless):
		return err
	case err == nil:
		w.record = record
	}
	return nil
}

// reached tells whether the Flow is as --for says.
func (w *statusWatch) reached() bool {
	switch w.until {
	case forHealthy:
		return w.last.Healthy
	case forReady:
		return w.last.Healthy && allRun(w.last)
	}
	return false
}

// allRun tells whether every part has replicas.
func allRun(status rollout.FlowStatus) bool {
	run := true
	each(status, func(_ string, w rollout.WorkloadStatus) { run = run && w.Phase != rollout.PhaseStopped })
	return run
}

func (w *statusWatch) timedOut() error {
	if w.last.Flow == "" {
		return &exitError{code: codeTimeout, err: fmt.Errorf("timed out after %s: the workloads of Flow %s could not be read in that time", w.timeout, w.record.Flow)}
	}
	err := fmt.Errorf("timed out after %s: Flow %s is not %s, %d of %s ready", w.timeout, w.record.Flow, w.until, w.last.Ready, countText(w.last.Workloads, "workload"))
	for _, p := range statusProblems(w.last) {
		err = fmt.Errorf("%w\n  %s", err, p.text)
	}
	switch {
	case w.last.Paused:
		err = fmt.Errorf("%w\n  the Flow is paused; `kubectl jina resume` starts it", err)
	case w.until == forReady:
		each(w.last, func(part string, s rollout.WorkloadStatus) {
			if s.Phase == rollout.PhaseStopped {
				err = fmt.Errorf("%w\n  %s: stopped, no replicas are wanted", err, part)
			}
		})
	}
	return &exitError{code: codeTimeout, err: err}
}

// statusScreen is where a watched status is shown.
type statusScreen interface {
	show(status rollout.FlowStatus, now time.Time) error
	// notice may be called between two pictures.
	notice(text string)
}

func (o *statusOptions) newScreen() statusScreen {
	told := func(text string) { fmt.Fprintln(o.ErrOut, text) }
	switch {
	case o.output == outputJSON || o.output == outputYAML:
		return &statusDocuments{out: o.Out, yaml: o.output == outputYAML, told: told}
	case o.env.live(o.Out):
		return &statusPicture{
			area: &liveArea{out: o.Out, size: func() (int, int, bool) { return o.env.size(o.Out) }},
			wide: o.output == outputWide,
		}
	default:
		return &statusLines{out: o.Out, told: told, before: map[string]string{}}
	}
}

// lapse is a time that goes by in a text: "crashed 3 times, last 42 s ago", "loading for 2 min 5 s of at most 10 min". That it
// grows is no news.
var lapse = regexp.MustCompile(`(?: for| of at most)? ?\b\d+ (?:s|min|h)\b(?: \d+ (?:s|min)\b)?`)

// news is what is new in a text when it changes.
func news(text string) string { return lapse.ReplaceAllString(text, "") }

// statusDocuments prints a document whenever something changes: JSON in a line each, YAML with --- between.
type statusDocuments struct {
	out    io.Writer
	yaml   bool
	told   func(string)
	before string
}

func (d *statusDocuments) notice(text string) { d.told(text) }

func (d *statusDocuments) show(status rollout.FlowStatus, _ time.Time) error {
	text, err := json.Marshal(status)
	if err != nil || news(string(text)) == d.before {
		return err
	}
	first := d.before == ""
	d.before = news(string(text))
	if !d.yaml {
		_, err = fmt.Fprintf(d.out, "%s\n", text)
		return err
	}
	if !first {
		fmt.Fprintln(d.out, "---")
	}
	return printYAML(d.out, status)
}

// statusLines prints a line for each part whose state changes, and one for the Flow when its health does.
type statusLines struct {
	out    io.Writer
	told   func(string)
	before map[string]string
	title  string
	// hidden is what was said that may not be listed.
	hidden string
}

func (l *statusLines) notice(text string) { l.told(text) }

func (l *statusLines) show(status rollout.FlowStatus, _ time.Time) error {
	var err error
	say := func(text string) {
		if err == nil {
			_, err = fmt.Fprintln(l.out, text)
		}
	}
	here := map[string]bool{}
	tell := func(part string, w rollout.WorkloadStatus) {
		here[part] = true
		text := fmt.Sprintf("%s: %d/%d %s", part, w.Ready, w.Wanted, w.Phase)
		if w.Phase == rollout.PhaseMissing {
			text = part + ": " + string(w.Phase)
		}
		if !w.Healthy && w.Reason != "" {
			text += ": " + w.Reason
		}
		if said := news(text); l.before[part] != said {
			l.before[part] = said
			say(text)
		}
	}
	each(status, tell)
	for _, e := range status.Executors {
		if e.Phase == rollout.PhaseMissing {
			tell(e.Name, rollout.WorkloadStatus{Phase: e.Phase})
		}
	}
	for part := range l.before {
		if !here[part] {
			delete(l.before, part) // the graph no longer has it
		}
	}
	if title := statusTitle(status); title != l.title {
		l.title = title
		say(title)
	}
	if hidden := unreadableText(status); hidden != l.hidden {
		l.hidden = hidden
		l.told(hidden)
	}
	return err
}

// statusPicture draws the status again in its place.
type statusPicture struct {
	area *liveArea
	wide bool
}

func (p *statusPicture) notice(text string) { p.area.printAbove(text) }

func (p *statusPicture) show(status rollout.FlowStatus, now time.Time) error {
	_, rows, ok := p.area.size()
	if !ok || rows < 2 {
		rows = 24
	}
	p.area.drawLines(statusLinesIn(status, now, p.wide, rows-2))
	return nil
}

// statusLinesIn is the status in so many lines: where it does not fit, what is wrong comes before the table, and the table is cut.
func statusLinesIn(status rollout.FlowStatus, now time.Time, wide bool, rows int) []string {
	table, notes := statusTable(status, now, wide), statusNotes(status)
	lines := append([]string{statusTitle(status), ""}, table...)
	if lines = append(lines, notes...); len(lines) <= rows {
		return lines
	}
	lines = append([]string{statusTitle(status)}, notes...)
	lines = append(append(lines, ""), table...)
	if rows < 1 {
		return nil
	}
	hidden := len(lines) - (rows - 1)
	return append(lines[:rows-1], fmt.Sprintf("… and %d more lines", hidden))
}

// drawLines replaces the area by other lines, cut to the terminal's width.
func (a *liveArea) drawLines(lines []string) {
	columns, _, ok := a.size()
	if !ok || columns < 1 {
		columns = 80
	}
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = cutText(line, columns-1)
	}
	a.write(a.back(columns), cut, columns)
}
