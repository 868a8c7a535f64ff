package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// exportOptions are the flags of export.
type exportOptions struct {
	genericiooptions.IOStreams
	flowFlags
	factory      *factory
	k8sNamespace string
	outputDir    string
}

// newExportCommand is export: the objects of a Flow file, without a cluster.
func newExportCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &exportOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:   "export -f FILE",
		Short: "Write the Kubernetes objects of a Flow",
		Long: templates.LongDesc(`
			Write the Kubernetes objects of a Flow or Deployment file.

			They go to standard output as YAML documents, or with --output-dir into a folder of the layout that Jina's own
			export has. Neither a cluster nor the network is asked.

			A folder that is there already is written over, file by file. It is refused when it has YAML files that this
			Flow does not have, since "kubectl apply -R" would apply those as well; nothing is ever deleted.

			The objects are those of Jina's own export with the named deviations of docs/deviations.md. With --compat
			they are the reference's alone, and so is the rule for the namespace: the Flow's name when -n is not given.`),
		Example: templates.Examples(`
			# See the objects
			kubectl jina export -f flow.yml

			# Into a folder, for a namespace
			kubectl jina export -f flow.yml -n search --output-dir manifests

			# As Jina's own export makes them
			kubectl jina export -f flow.yml --compat --output-dir reference`),
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run()
		},
	}
	o.bind(c.Flags())
	o.bindStrict(c.Flags())
	c.Flags().StringVar(&o.outputDir, "output-dir", "", "Folder to write into; default: standard output")
	c.Flags().BoolVar(&o.compat, "compat", false, "Leave out the deviations of docs/deviations.md")
	c.Flags().StringVar(&o.k8sNamespace, "k8s-namespace", "", "The same as -n, as Jina's own export calls it")
	return c
}

// Validate the flags.
func (o *exportOptions) Validate() error {
	given := *o.factory.flags.Namespace
	switch {
	case o.k8sNamespace == "":
	case given == "":
		*o.factory.flags.Namespace = o.k8sNamespace
	case given != o.k8sNamespace:
		return usageErrorf("-n %s and --k8s-namespace %s contradict each other: give one of them", given, o.k8sNamespace)
	}
	if ns := *o.factory.flags.Namespace; ns != "" {
		if reasons := validation.IsDNS1123Label(ns); len(reasons) > 0 {
			return usageErrorf("namespace %q is not legal: %s", ns, reasons[0])
		}
	}
	return nil
}

// Run writes the objects.
func (o *exportOptions) Run() error {
	ns := *o.factory.flags.Namespace
	if ns == "" && !o.compat {
		var err error
		if ns, err = o.factory.namespace(); err != nil {
			return err
		}
	}
	o.namespaceGiven = *o.factory.flags.Namespace != ""
	file, err := o.load(o.IOStreams, ns)
	if err != nil {
		return err
	}
	if o.outputDir != "" {
		return o.writeFolder(file)
	}
	const chunk = 64 << 10
	var out bytes.Buffer
	for i, object := range file.Objects {
		writeDocument(&out, i == 0, object)
		if out.Len() < chunk && i < len(file.Objects)-1 {
			continue
		}
		if _, err := o.Out.Write(out.Bytes()); err != nil {
			return err
		}
		out.Reset()
	}
	return nil
}

func writeDocument(out *bytes.Buffer, first bool, object plan.Object) {
	if !first {
		out.WriteString("---\n")
	}
	writeYAML(out, object.Object)
}

// writeFolder makes everything before it writes anything.
func (o *exportOptions) writeFolder(file *flowFile) error {
	contents := map[string]*bytes.Buffer{}
	var names []string
	for _, object := range file.Objects {
		name := filepath.FromSlash(plan.File(file.Flow, object.Part))
		out, started := contents[name]
		if !started {
			out = &bytes.Buffer{}
			contents[name] = out
			names = append(names, name)
		}
		writeDocument(out, !started, object)
	}
	if err := o.checkFolder(names); err != nil {
		return err
	}
	for _, name := range names {
		target := filepath.Join(o.outputDir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("cannot write into %s: %w", o.outputDir, reason(err))
		}
		if err := os.WriteFile(target, contents[name].Bytes(), 0o644); err != nil {
			return fmt.Errorf("cannot write %s: %w", target, reason(err))
		}
	}
	_, err := fmt.Fprintf(o.ErrOut, "%d objects in %d files of %s; kubectl apply --server-side -R -f %s applies them\n",
		len(file.Objects), len(names), o.outputDir, o.outputDir)
	return err
}

// checkFolder refuses a folder with files that kubectl would apply besides ours: most of the time those of an executor
// that the Flow had before.
func (o *exportOptions) checkFolder(names []string) error {
	var stale []string
	err := filepath.WalkDir(o.outputDir, func(path string, entry fs.DirEntry, err error) error {
		if path == o.outputDir && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		if err != nil {
			return err
		}
		if path == o.outputDir && !entry.IsDir() {
			return usageErrorf("--output-dir %s is a file", o.outputDir)
		}
		name, err := filepath.Rel(o.outputDir, path)
		if err != nil {
			return err
		}
		switch strings.ToLower(filepath.Ext(name)) {
		case ".yml", ".yaml", ".json":
			if !entry.IsDir() && !slices.Contains(names, name) {
				stale = append(stale, name)
			}
		}
		return nil
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	const most = 5
	more := ""
	if len(stale) > most {
		more = fmt.Sprintf(" and %d more", len(stale)-most)
		stale = stale[:most]
	}
	return usageErrorf("%s has files that are not of this Flow and would be applied with it: %s%s; delete them or take another folder",
		o.outputDir, strings.Join(stale, ", "), more)
}
