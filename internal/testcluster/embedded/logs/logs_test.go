package logs

import (
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

func TestFatalErrorEndsNotTheProcess(t *testing.T) {
	var log strings.Builder
	failures := make(chan error, 1)
	if err := Redirect(&log, func(err error) { failures <- err }); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		klog.Error("an error that goes to the file alone")
		klog.Fatal("no etcd")
	}()
	<-done
	if err := <-failures; !strings.Contains(err.Error(), "exit code 255") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"an error that goes to the file alone", "no etcd"} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is %d times in the log", want, n)
		}
	}
}
