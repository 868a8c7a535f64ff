package flow

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// readWithFiles reads flow/f.yml with other files beside it.
func readWithFiles(text string, files map[string]string) (*Flow, string) {
	src := Source{Name: "flow/f.yml", Data: []byte(text), Env: env("TAG", "7"), Context: map[string]string{"who": "me"}}
	src.ReadFile = func(name string) (File, error) {
		switch data, ok := files[name]; {
		case name == "secret.yml":
			return File{}, errors.New("permission denied")
		case !ok:
			return File{Other: "did you mean other.yml?"}, fs.ErrNotExist
		case name == "twice.yml":
			return File{Name: "flow/twice.yml", Data: []byte(data), Other: "twice.yml"}, nil
		default:
			return File{Name: "flow/" + name, Data: []byte(data)}, nil
		}
	}
	f, problems := Parse(src)
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return f, b.String()
}

func TestFileOfADeploymentIsAnExecutor(t *testing.T) {
	f, problems := readWithFiles(`
jtype: Flow
with: {monitoring: true, workspace: w, extra_search_paths: [x]}
executors:
  - name: first
    uses: docker://a/first:1
    needs: gateway
  - sub/other.yml
  - name: after
    uses: docker://a/after:1
  - name: both
    uses: docker://a/both:1
    needs: [first, executor1]
`, map[string]string{"sub/other.yml": "!Deployment\nwith:\n  name: In_c\n  uses: docker://a/inc:${{ ENV.TAG }}\n  env: {WHO: '${{ CONTEXT.who }}', UP: '${{root.with.name}}'}\n  extra_search_paths: [z]\n"})
	if f == nil || strings.Count(problems, "nothing needs executor") != 1 || !strings.Contains(problems, "nothing needs executor after:") {
		t.Fatal(problems)
	}
	e := f.Executor("In_c")
	if e == nil || e.Node != "executor1" || e.Uses.Image != "a/inc:7" || e.Args.Flag("monitoring") || e.Args.Has("workspace") {
		t.Fatalf("the executor is %+v", e)
	}
	if got := e.Args.Mapping("env").JSON(Coerced); got != `{"WHO": "me", "UP": "In_c"}` {
		t.Errorf("env is %s", got)
	}
	if !slices.Equal(e.SearchPaths, []string{"z", "x", "sub"}) {
		t.Errorf("search paths are %q", e.SearchPaths)
	}
	if got, want := graphOf(f), "first<gateway executor1<first after<executor1 both<executor1+first last both"; got != want {
		t.Errorf("the graph is %s, not %s", got, want)
	}
	if e.NamePosition != (Position{"flow/sub/other.yml", 3, 9}) {
		t.Errorf("its name stands at %s", e.NamePosition)
	}
}

func TestProblemsOfAnIncludedFileStandThere(t *testing.T) {
	const good = "jtype: Deployment\nwith: {name: inc, uses: docker://a/inc:1}\n"
	for _, c := range []struct{ name, executors, file, want string }{
		{"missing", "nowhere.yml", "", `flow/f.yml:3:3: error: the file "nowhere.yml" of an executor does not exist (did you mean other.yml?); it is looked for beside the Flow file, then in the working folder [included-file]`},
		{"unreadable", "secret.yml", "", `flow/f.yml:3:3: error: the file "secret.yml" of an executor cannot be read: permission denied [included-file]`},
		{"network", "https://example.com/x.yml", "", `flow/f.yml:3:3: error: executor "https://example.com/x.yml" is on the network, which is not asked; download it and write the name of the file [included-file]`},
		{"text", "MyExecutor", "", `flow/f.yml:3:3: error: an executor is a mapping of arguments or a file, not the text "MyExecutor"; write '- name: encoder' and its arguments below, or the file of a Deployment (.yml) [included-file]`},
		{"two files", "twice.yml", good, `flow/f.yml:3:3: warning: there are two files "twice.yml": flow/twice.yml is taken, twice.yml is not; rename one of the two [included-file]`},
		{"a Flow", "x.yml", "jtype: Flow\nexecutors: []", `flow/x.yml:1:8: error: the file of an executor is a Deployment, this is "Flow"; write jtype: Deployment, and the arguments under with [jtype]`},
		{"an executor", "x.yml", "jtype: BaseExecutor\nwith: {}", `flow/x.yml:1:8: error: the file of an executor is a Deployment, this is "BaseExecutor"; write jtype: Deployment, and the arguments under with [jtype]`},
		{"no jtype", "x.yml", "with: {}", `flow/x.yml:1:1: error: the file of an executor does not say what it is: jtype is missing; write 'jtype: Deployment' first [jtype]`},
		{"a list", "x.yml", "- a", `flow/x.yml:1:1: error: the file of an executor is a mapping, this is a list; start with 'jtype: Deployment' [jtype]`},
		{"not YAML", "x.yml", "a: [", `flow/x.yml:1:1: error: the file is not YAML: did not find expected node content [yaml-syntax]`},
		{"class", "x.yml", "jtype: Deployment\nwith:\n  name: inc\n  uses: MyExec", `flow/x.yml:4:9: error: executor inc is the Python class "MyExec", which no cluster can run; build an image of it and write uses: docker://IMAGE, or give one with --image inc=IMAGE [no-image]`},
		{"needs", "x.yml", "needs: [gateway]\n" + good, `flow/x.yml:1:1: warning: needs has no effect: the executor of a file follows the one above it; take it away, and put the file below what it needs [no-effect]`},
		{"needs under with", "x.yml", "jtype: Deployment\nwith: {uses: docker://a, needs: [gateway]}", `flow/x.yml:2:33: warning: needs has no effect in a Deployment; take it away [no-effect]`},
		{"own name in needs", "x.yml\n- {name: e, uses: docker://e, needs: inc}", good, `flow/f.yml:4:38: error: the executor of the file x.yml is called executor0 here, not inc; write executor0 [needs-unknown]`},
		{"twice", "x.yml\n- x.yml", good, `flow/f.yml:4:3: error: the objects of "x.yml" would be called inc (flow/x.yml:2:14), as those of the executor at flow/f.yml:3:3; copy the file and write another name under with, or write replicas: 2 in it [duplicate-name]`},
		{"name of another", "x.yml\n- {name: inc, uses: docker://e}", good, `flow/f.yml:4:10: error: the objects of executor inc would be called as those of the executor at flow/f.yml:3:3; give each executor a name of its own [duplicate-name]`},
		{"several protocols", "x.yml", "jtype: Deployment\nwith: {uses: docker://a, protocol: [grpc, http]}", `flow/x.yml:2:36: error: executor executor has several protocols, in a Flow it has one; write one; the gateway can have several [wrong-value]`},
		{"too large together", strings.Repeat("x.yml\n- ", 3) + "x.yml", "#" + strings.Repeat(" ", MaxSize/3) + "\n" + good, "have more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			if c.file != "" {
				files["x.yml"], files["twice.yml"] = c.file, c.file
			}
			_, problems := readWithFiles("jtype: Flow\nexecutors:\n- "+c.executors+"\n", files)
			if !strings.Contains(problems, c.want) {
				t.Errorf("problems are\n%s\nnot\n%s", problems, c.want)
			}
		})
	}
}

func TestImageOfAnIncludedExecutorHasItsNameOrItsPlace(t *testing.T) {
	for _, key := range []string{"inc", "executor0", "MyExec"} {
		src := Source{Name: "f.yml", Data: []byte("jtype: Flow\nexecutors: [x.yml]"), Images: []Image{{Key: key, Image: "a/b:1"}}}
		src.ReadFile = func(string) (File, error) {
			return File{Name: "x.yml", Data: []byte("jtype: Deployment\nwith: {name: inc, uses: MyExec}")}, nil
		}
		f, problems := Parse(src)
		if f == nil || f.Executors[0].Uses.Image != "a/b:1" {
			t.Errorf("%s: %v", key, problems)
		}
	}
}
