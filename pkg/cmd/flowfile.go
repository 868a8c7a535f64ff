package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
)

// flowFlags are the flags of every command that reads a Flow file.
type flowFlags struct {
	Filename    string
	Name        string
	JinaVersion string
	// compat asks for the reference's own objects; export alone has a flag for it.
	compat bool
	// getenv looks up variables of the environment; bind sets it to the process's.
	getenv func(string) (string, bool)
}

// bind adds the flags to a command's.
func (o *flowFlags) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&o.Filename, "filename", "f", "", "Flow or Deployment file, - for standard input")
	flags.StringVar(&o.Name, "name", "", "Name of the Flow; default: with.name of the file, else the file's or its folder's name")
	flags.StringVar(&o.JinaVersion, "jina-version", plan.JinaVersion, "Version of Jina whose image runs gateways, heads and executors without an image; JINA_GATEWAY_IMAGE wins over it")
	o.getenv = os.LookupEnv
}

// flowFile is a Flow file that can be deployed.
type flowFile struct {
	Flow *flow.Flow
	// Name of the Flow, a DNS label.
	Name    string
	Objects []plan.Object
}

var imageTag = regexp.MustCompile(`^\w[\w.-]{0,127}$`)

// load reads the file and makes its objects. Warnings go to ErrOut; a file that cannot be used is a *flow.InvalidError,
// everything else that is wrong a usage error.
func (o *flowFlags) load(streams genericiooptions.IOStreams, namespace string) (*flowFile, error) {
	src, err := o.source(streams.In)
	if err != nil {
		return nil, err
	}
	file, problems, err := o.read(src, namespace)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		if p.Severity == flow.Warning {
			fmt.Fprintln(streams.ErrOut, p)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if file.Name == "" {
		return nil, usageErrorf("the Flow has no name: standard input needs --name NAME, or name under with in the file")
	}
	return file, nil
}

// read is load for a command that shows the problems itself: the file's Flow and Objects are nil when one of them is an
// error.
func (o *flowFlags) read(src flow.Source, namespace string) (*flowFile, flow.Problems, error) {
	file := &flowFile{}
	f, problems := flow.Parse(src)
	if problems.Err() != nil {
		return file, problems, nil
	}
	file.Name = o.flowName(f)
	image, _ := o.getenv("JINA_GATEWAY_IMAGE")
	options := plan.Options{
		FlowName: file.Name, Namespace: namespace, JinaVersion: o.JinaVersion, GatewayImage: image, Compat: o.compat,
	}
	if o.compat {
		options.LogLevel, _ = o.getenv("JINA_LOG_LEVEL")
		dir, err := os.Getwd()
		if err != nil {
			return nil, nil, err
		}
		options.WorkingDir = dir
		if options.Namespace == "" {
			options.Namespace = referenceNamespace(f)
		}
	}
	objects, more := plan.Objects(f, options)
	problems = append(problems, more...)
	problems.Sort()
	if problems.Err() == nil {
		file.Flow, file.Objects = f, objects
	}
	return file, problems, nil
}

func (o *flowFlags) validate() error {
	if o.Filename == "" {
		return usageErrorf("-f FILE is missing: the Flow file, or - for standard input")
	}
	if o.Name != "" {
		if reasons := validation.IsDNS1123Label(o.Name); len(reasons) > 0 {
			return usageErrorf("--name %q is not legal: %s", o.Name, reasons[0])
		}
	}
	if !imageTag.MatchString(o.JinaVersion) {
		return usageErrorf("--jina-version %q is not a version like %s", o.JinaVersion, plan.JinaVersion)
	}
	return nil
}

// source checks the flags and reads the text; a little more than can be used, so that a file that is too large is known
// as such.
func (o *flowFlags) source(in io.Reader) (flow.Source, error) {
	if err := o.validate(); err != nil {
		return flow.Source{}, err
	}
	src := flow.Source{Name: o.Filename, Env: o.getenv}
	if o.Filename == "-" {
		src.Name = "stdin"
		var err error
		if src.Data, err = io.ReadAll(io.LimitReader(in, flow.MaxSize+1)); err != nil {
			return src, fmt.Errorf("cannot read standard input: %w", err)
		}
		return src, nil
	}
	f, err := os.Open(o.Filename)
	if errors.Is(err, fs.ErrNotExist) {
		return src, usageErrorf("%s does not exist", o.Filename)
	} else if err != nil {
		return src, usageErrorf("cannot read %s: %w", o.Filename, reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return src, usageErrorf("%s is a folder: -f takes one Flow file; folders that Jina exported are not read yet", o.Filename)
	}
	if src.Data, err = io.ReadAll(io.LimitReader(f, flow.MaxSize+1)); err != nil {
		return src, usageErrorf("cannot read %s: %w", o.Filename, reason(err))
	}
	return src, nil
}

// reason is what went wrong with a file, without its name.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// flowName is --name, else the Flow's own, else the file's or its folder's; empty when there is none.
func (o *flowFlags) flowName(f *flow.Flow) string {
	if o.Name != "" {
		return o.Name
	}
	candidates := []string{f.Name}
	if o.Filename != "-" {
		file := o.Filename
		if absolute, err := filepath.Abs(file); err == nil {
			file = absolute
		}
		candidates = append(candidates, plan.NameFromFile(filepath.ToSlash(file)), strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
	}
	return plan.NameFlow(candidates...)
}

// referenceNamespace is where Jina's own export puts a Flow when it is not told.
func referenceNamespace(f *flow.Flow) string {
	if f.Kind == flow.KindFlow && f.Name != "" {
		return f.Args.Text("name", flow.Coerced)
	}
	return "default"
}
