package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/apply"
	"github.com/kubectl-jina/kubectl-jina/pkg/logs"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
)

var (
	logsLong = templates.LongDesc(`
		Print what the containers of a running Flow have written, those of all replicas and shards merged by their time.

		A target is gateway, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head; without one, it is the whole Flow. Each line starts
		with its part and the end of its pod's name. It is Jina's container that is read; -c names another, a mesh's proxy
		for one.

		With -f it goes on with all that is written, over restarts of containers, pods that come and go, and lost
		connections; no line is lost that the cluster still has, and none comes twice. Of several logs the last 10
		lines each come first, unless --tail or --since say otherwise.`)

	logsExample = templates.Examples(`
		# What all replicas and shards of an executor write
		kubectl jina logs encoder -f

		# The gateway and one shard, the last quarter of an hour, with times
		kubectl jina logs gateway indexer/1 --since 15m --timestamps

		# What was written before the last crash
		kubectl jina logs encoder --previous

		# The mesh's proxies of the whole Flow
		kubectl jina logs -c linkerd-proxy`)
)

// tailOfSeveral are the lines of each log where several are read and nobody says how many.
const tailOfSeveral = 10

type logsOptions struct {
	flowRef
	targets       []string
	follow        bool
	previous      bool
	since         time.Duration
	tail          int64
	timestamps    bool
	container     string
	allContainers bool
	prefix        bool
	most          int

	hasTail bool

	factory *factory
	env     terminalEnv
	genericiooptions.IOStreams
}

func newLogsCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &logsOptions{factory: f, env: f.terminal(), IOStreams: streams}
	c := &cobra.Command{
		Use:     "logs [gateway | EXECUTOR[/SHARD | /head]]...",
		Short:   "Print the logs of a Flow, of all replicas and shards together",
		Long:    logsLong,
		Example: logsExample,
		RunE: func(c *cobra.Command, args []string) error {
			o.Complete(c, args)
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run(c.Context())
		},
	}
	fs := c.Flags()
	// -f is --follow, as in kubectl logs; the file that names the Flow has no short flag here.
	fs.StringVar(&o.filename, "filename", "", filenameUsage)
	fs.StringVar(&o.flow, "flow", "", flowUsage)
	fs.BoolVarP(&o.follow, "follow", "f", false, "Go on with what is written, until interrupted")
	fs.BoolVarP(&o.previous, "previous", "p", false, "The run of each container before its present one")
	fs.DurationVar(&o.since, "since", 0, "Only what is not older than this")
	fs.Int64Var(&o.tail, "tail", 0, "The last lines of each log to begin with; -1 for all (default all of a single log, 10 each of several)")
	fs.BoolVar(&o.timestamps, "timestamps", false, "The time of each line")
	fs.StringVarP(&o.container, "container", "c", "", "The container to read instead of Jina's own")
	fs.BoolVar(&o.allContainers, "all-containers", false, "All containers, those that a mesh has injected and init containers among them")
	fs.BoolVar(&o.prefix, "prefix", true, "The part and the pod before each line")
	fs.IntVar(&o.most, "max-log-requests", 50, "The most logs to read at the same time")
	return c
}

// Complete takes over what was given.
func (o *logsOptions) Complete(c *cobra.Command, args []string) {
	o.targets = args
	o.hasTail = c.Flags().Changed("tail")
}

// Validate the command line.
func (o *logsOptions) Validate() error {
	switch {
	case o.follow && o.previous:
		return usageErrorf("--previous has ended: it cannot be followed with -f")
	case o.since < 0:
		return usageErrorf("--since: %s is negative", o.since)
	case o.hasTail && o.tail < -1:
		return usageErrorf("--tail: %d is no number of lines; -1 stands for all", o.tail)
	case o.container != "" && o.allContainers:
		return usageErrorf("-c and --all-containers both say which containers: give one of them")
	case o.follow && slices.ContainsFunc(o.targets, isFlowFile):
		return usageErrorf("-f is --follow here, as in kubectl logs: give the Flow's file with --filename")
	case o.most < 1:
		return usageErrorf("--max-log-requests: %d is too few", o.most)
	}
	return o.validate()
}

// isFlowFile tells whether a target is meant to be a file: no part of a Flow has such a name.
func isFlowFile(target string) bool {
	return strings.HasSuffix(target, ".yml") || strings.HasSuffix(target, ".yaml") || target == "-"
}

// Run prints the logs.
func (o *logsOptions) Run(ctx context.Context) error {
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	parts := live.parts
	if len(o.targets) > 0 {
		if parts, err = pick(live.parts, o.targets); err != nil {
			return err
		}
	}
	wanted := newLogParts(parts, o.container, o.allContainers)
	printer := &logPrinter{out: o.Out, parts: wanted, prefix: o.prefix, timestamps: o.timestamps, coloured: o.env.live(o.Out), colours: map[string]int{}}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	printer.broken = stop // nobody reads any more, as after `| head`
	req := logs.Request{
		Namespace: s.namespace, Flow: live.name, Containers: wanted.containers, Previous: o.previous, Tail: o.tailOf(parts), Max: o.most,
		Notice: func(text string) { fmt.Fprintln(o.ErrOut, text) },
	}
	if o.since > 0 {
		req.Since = o.env.now().Add(-o.since)
	}
	if o.follow {
		err = logs.Follow(ctx, s.typed, req, printer.print)
	} else {
		buffered := bufio.NewWriter(o.Out)
		printer.out = buffered
		err = errors.Join(logs.Read(ctx, s.typed, req, printer.print), buffered.Flush())
	}
	if printer.err != nil {
		return printer.err
	}
	return o.explain(ctx, err, wanted)
}

// tailOf the logs: all lines of a single one, or of what is not older than --since; a few of each of several.
func (o *logsOptions) tailOf(parts []livePart) *int64 {
	tail := o.tail
	switch {
	case o.hasTail && tail < 0:
		return nil
	case o.hasTail:
		return &tail
	case o.since > 0 || len(parts) == 1 && apply.LiveReplicas(parts[0].object) <= 1 && !o.allContainers:
		return nil
	}
	tail = tailOfSeveral
	return &tail
}

// explain says what to do about an error.
func (o *logsOptions) explain(ctx context.Context, err error, wanted *logParts) error {
	var nothing *logs.NothingError
	var tooMany *logs.TooManyError
	switch {
	case errors.As(err, &nothing) && nothing.Pods > 0:
		return usageErrorf("no pod has a container %q; they have: %s", o.container, strings.Join(wanted.sortedNames(), ", "))
	case errors.As(err, &nothing):
		return errors.New("there are no pods to read logs of; `kubectl jina status` says why")
	case errors.As(err, &tooMany):
		return usageErrorf("%w: name the parts to read, or raise --max-log-requests", err)
	case o.follow && errors.Is(err, context.Canceled):
		return &exitError{code: codeInterrupted} // which is how following ends
	}
	return interrupted(ctx, explain(err), "")
}

// logParts says which containers are read, and how their lines are called.
type logParts struct {
	container string
	all       bool
	parts     map[workloadName]logPart
	// pods that are read, and what they belong to.
	pods map[string]workloadName
	// seen are the names of the containers that there are.
	seen map[string]bool
}

type workloadName struct{ kind, name string }

// logPart is a part whose logs are read.
type logPart struct {
	livePart
	// own is the container of Jina's own.
	own string
}

func newLogParts(parts []livePart, container string, all bool) *logParts {
	l := &logParts{container: container, all: all, parts: map[workloadName]logPart{}, pods: map[string]workloadName{}, seen: map[string]bool{}}
	for _, p := range parts {
		l.parts[workloadName{p.object.GetKind(), p.object.GetName()}] = logPart{p, ownContainer(p)}
	}
	return l
}

// containers of a pod to read: Jina's own, which is the first of the workload; a mesh's injector puts its proxy before it in
// some pods.
func (l *logParts) containers(p *corev1.Pod) []string {
	kind, name := rollout.WorkloadOf(p)
	part, ok := l.parts[workloadName{kind, name}]
	if !ok {
		return nil
	}
	l.pods[p.Name] = workloadName{kind, name}
	var names []string
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		names = append(names, c.Name)
		l.seen[c.Name] = true
	}
	switch {
	case l.all:
	case l.container != "":
		names = slices.DeleteFunc(names, func(n string) bool { return n != l.container })
	default:
		names = []string{part.own}
	}
	return names
}

// ownContainer is the first container of the workload's own template.
func ownContainer(p livePart) string {
	containers, _, _ := unstructured.NestedSlice(p.object.Object, "spec", "template", "spec", "containers")
	if len(containers) == 0 {
		return ""
	}
	first, _ := containers[0].(map[string]any)
	name, _ := first["name"].(string)
	return name
}

func (l *logParts) sortedNames() []string {
	var names []string
	for name := range l.seen {
		names = append(names, rollout.PlainText(name))
	}
	slices.Sort(names)
	return names
}

// prefixOf a line: its part, the end of its pod's name, and the container where it is not Jina's own.
func (l *logParts) prefixOf(line logs.Line) string {
	name := l.pods[line.Pod]
	part := l.parts[name]
	text := part.part.String() + " " + strings.TrimPrefix(line.Pod, name.name+"-")
	if line.Container != part.own {
		text += " " + line.Container
	}
	return text
}
