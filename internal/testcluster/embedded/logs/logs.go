// Package logs keeps the logs of the Kubernetes components in one file, and their fatal errors from ending the process.
package logs

import (
	"flag"
	"fmt"
	"io"
	"runtime"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// Redirect sends what the components log to w; by default klog copies errors to standard error and, in a file, into the
// lower severities too. A component that gives up, which klog lets end the process, ends its own goroutine only, and
// failed is called: so the others can be stopped in order, and no file stays behind. All this is the whole process's.
func Redirect(w io.Writer, failed func(error)) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for _, f := range [][2]string{
		{"logtostderr", "false"}, {"alsologtostderr", "false"}, {"one_output", "true"}, {"stderrthreshold", "FATAL"},
	} {
		if err := flags.Set(f[0], f[1]); err != nil {
			return fmt.Errorf("klog: -%s: %w", f[0], err)
		}
	}
	klog.SetOutput(w)
	klog.OsExit = func(code int) {
		failed(fmt.Errorf("a component has given up (exit code %d): the end of the log says why", code))
		runtime.Goexit()
	}
	// They warn about each other's requests.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return nil
}
