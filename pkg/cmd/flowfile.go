package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	flowInputs
	// compat asks for the reference's own objects; export alone has a flag for it.
	compat bool
	// getenv looks up variables of the environment; bind sets it to the process's.
	getenv func(string) (string, bool)
	// folder has the files when Filename is a folder; source sets it.
	folder []plan.FolderFile
	// namespaceGiven tells that the namespace was chosen by a flag, not by the kubeconfig.
	namespaceGiven bool
	// quiet leaves warnings out: for a command that only wants to know which Flow it is.
	quiet bool
}

// bind adds the flags to a command's.
func (o *flowFlags) bind(flags *pflag.FlagSet) {
	flags.StringVarP(&o.Filename, "filename", "f", "", "Flow or Deployment file, folder that Jina exported, - for standard input")
	flags.StringVar(&o.Name, "name", "", "Name of the Flow; default: with.name of the file, else the file's or its folder's name")
	flags.StringVar(&o.JinaVersion, "jina-version", plan.JinaVersion, "Version of Jina whose image runs gateways, heads and executors without an image; JINA_GATEWAY_IMAGE wins over it")
	o.flowInputs.bind(flags)
	o.getenv = os.LookupEnv
}

// flowFile is a Flow file that can be deployed.
type flowFile struct {
	Flow *flow.Flow
	// Name of the Flow, a DNS label.
	Name string
	// Named tells that the user gave the name, in the file or by a flag; else it was made from the file's own name.
	Named bool
	// Recorded are the options that the objects depend on, see recordedOptions.
	Recorded string
	// Namespace of the objects.
	Namespace string
	Objects   []plan.Object
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
	for i, p := range problems {
		if p.Severity == flow.Warning && o.strict {
			problems[i].Severity = flow.Error
		} else if p.Severity == flow.Warning && !o.quiet {
			fmt.Fprintln(streams.ErrOut, p)
		}
	}
	if o.quiet && namesFlow(file, problems) {
		file.Namespace = cmp.Or(file.Namespace, namespace)
	} else if err := problems.Err(); err != nil {
		return nil, err
	}
	if err := plan.CheckMergeKeys(file.Objects); err != nil {
		return nil, usageErrorf("%s: %w", src.Name, err)
	}
	if file.Name == "" && o.quiet {
		return nil, usageErrorf("%s does not say which Flow it is: name it with --flow NAME", src.Name)
	}
	if file.Name == "" {
		return nil, usageErrorf("the Flow has no name: standard input needs --name NAME, or name under with in the file")
	}
	return file, nil
}

// namesFlow tells that a file says which Flow it is, even if it could not be deployed without the images that it was deployed
// with.
func namesFlow(file *flowFile, problems flow.Problems) bool {
	return file.Name != "" && !slices.ContainsFunc(problems, func(p flow.Problem) bool { return p.Severity == flow.Error && p.ImageKey == "" })
}

// read is load for a command that shows the problems itself: the file's Flow and Objects are nil when one of them is an
// error.
func (o *flowFlags) read(src flow.Source, namespace string) (*flowFile, flow.Problems, error) {
	if o.folder != nil {
		return o.readObjects(o.folder, namespace)
	}
	file := &flowFile{}
	f, problems := flow.Read(src)
	if f == nil {
		return file, problems, nil
	}
	file.Name = o.flowName(f)
	file.Named = o.Name != "" || f.Name != ""
	var err error
	if file.Recorded, err = o.recorded(src); err != nil {
		return nil, nil, err
	}
	image, _ := o.getenv("JINA_GATEWAY_IMAGE")
	options := plan.Options{
		FlowName: file.Name, Namespace: namespace, JinaVersion: o.JinaVersion, GatewayImage: image, Compat: o.compat,
		Storage: o.storage(),
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
	if problems.Err() != nil {
		problems = append(problems, plan.Check(f, options)...)
		problems.Sort()
		return file, problems, nil
	}
	objects, more := plan.Objects(f, options)
	problems = append(problems, more...)
	problems.Sort()
	if problems.Err() == nil {
		file.Flow, file.Namespace, file.Objects = f, options.Namespace, objects
		if !o.compat {
			file.Flow = f.WithoutHelpers()
		}
	}
	return file, problems, nil
}

// storage is what the environment says of the volumes' claims, in the reference's variables.
func (o *flowFlags) storage() plan.Storage {
	var s plan.Storage
	s.AccessModes, _ = o.getenv("JINA_K8S_ACCESS_MODES")
	s.Class, _ = o.getenv("JINA_K8S_STORAGE_CLASS_NAME")
	s.Capacity, _ = o.getenv("JINA_K8S_STORAGE_CAPACITY")
	return s
}

func (o *flowFlags) validate() error {
	if o.Filename == "" {
		return usageErrorf("-f FILE is missing: the Flow file, a folder that Jina exported, or - for standard input")
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
	src := flow.Source{Name: o.Filename, Env: o.getenv, KeepContext: o.compat || o.quiet, ReadFile: newFileReader(o.Filename, o.compat).read}
	if err := o.fill(&src); err != nil {
		return src, err
	}
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
		o.folder, err = readFolder(o.Filename)
		return src, err
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
	if o.quiet && strings.Contains(f.Name, "$$") {
		return "" // a context variable, which no flag of the command gives
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
