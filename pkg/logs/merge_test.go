package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// bodies is a server that has one text for each pod, or an error.
func bodies(texts map[string]string, errs map[string]error) opener {
	return func(_ context.Context, pod string, _ *corev1.PodLogOptions) (io.ReadCloser, error) {
		if err := errs[pod]; err != nil {
			return nil, err
		}
		return io.NopCloser(strings.NewReader(texts[pod])), nil
	}
}

func stamped(second int, text string) string {
	return noon.Add(time.Duration(second)*time.Second).Format(time.RFC3339Nano) + " " + text + "\n"
}

func TestLogsAreMergedByTime(t *testing.T) {
	open := bodies(map[string]string{
		"a": stamped(1, "a1") + stamped(4, "a4") + strings.TrimSuffix(stamped(9, "a9 without an end"), "\n"),
		"b": stamped(2, "b2") + stamped(3, "b3") + stamped(4, "b4"),
		"c": "",
	}, nil)
	var got []string
	err := readMerged(t.Context(), open, []source{{"a", "x"}, {"b", "x"}, {"c", "x"}}, Request{}, func(l Line) { got = append(got, l.Pod+":"+l.Text) })
	want := "a:a1 b:b2 b:b3 a:a4 b:b4 a:a9 without an end"
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	waiting := apierrors.NewBadRequest("container x is waiting to start: ContainerCreating")
	for _, c := range []struct {
		name   string
		errs   map[string]error
		lines  int
		notice string
		err    string
	}{
		{"one of two has none yet", map[string]error{"b": waiting}, 1, "no log of container x of pod b: container x is waiting to start", ""},
		{"both have none yet", map[string]error{"a": waiting, "b": waiting}, 0, "pod a", "none of the containers has such a log"},
		{"forbidden", map[string]error{"a": apierrors.NewForbidden(pods, "a", errors.New("get pods/log"))}, 1, "", "cannot read the log of container x of pod a"},
		{"broken", map[string]error{"b": io.ErrUnexpectedEOF}, 1, "", "the log of container x of pod b could not be read to its end: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var notices strings.Builder
			lines := 0
			req := Request{Notice: func(text string) { fmt.Fprintln(&notices, text) }}
			err := readMerged(t.Context(), bodies(map[string]string{"a": stamped(1, "a"), "b": stamped(1, "b")}, c.errs),
				[]source{{"a", "x"}, {"b", "x"}}, req, func(Line) { lines++ })
			if lines != c.lines || !strings.Contains(notices.String(), c.notice) || (c.notice == "") != (notices.Len() == 0) {
				t.Errorf("%d lines, notices %q", lines, notices.String())
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v", err)
			}
		})
	}
}
