package flow

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func parse(t *testing.T, text string, pairs ...string) *Flow {
	t.Helper()
	f, problems := Parse(Source{Name: "f.yml", Data: []byte(text), Env: env(pairs...)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestProblems reads testdata/problems.txt: files and all the problems that each has, one a line.
func TestProblems(t *testing.T) {
	path := filepath.Join("testdata", "problems.txt")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten strings.Builder
	for i, part := range strings.Split(string(data), "=== ") {
		if i == 0 {
			rewritten.WriteString(part)
			continue
		}
		title, rest, _ := strings.Cut(part, "\n")
		text, want, _ := strings.Cut(rest, "--- problems\n")
		var got strings.Builder
		_, problems := Parse(Source{Name: "f.yml", Data: []byte(unescape(text)), Env: env("SET", "value")})
		for _, p := range problems {
			fmt.Fprintln(&got, p)
		}
		fmt.Fprintf(&rewritten, "=== %s\n%s--- problems\n%s", title, text, got.String())
		if !*update && got.String() != want {
			t.Errorf("%s: problems are\n%snot\n%s", title, got.String(), want)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// unescape lets the golden file hold what an editor would change.
func unescape(text string) string {
	return strings.NewReplacer(`<TAB>`, "\t", `<NUL>`, "\x00", `<BAD>`, "\xff", `<CR>`, "\r", `<ESC>`, "\x1b").Replace(text)
}

func TestGraph(t *testing.T) {
	f := parse(t, `
jtype: Flow
executors:
  - {name: a, uses: docker://a:1}
  - {name: side, uses: docker://s:1, floating: true}
  - {name: b, uses: docker://b:1}
  - {name: c, uses: docker://c:1, needs: gateway}
  - {name: d, uses: docker://d:1, needs: [c, b, c]}
  - {name: e, uses: docker://e:1, needs: "[d, gateway]"}
  - {uses: docker://f:1, needs: []}
`)
	var got []string
	for _, e := range f.Executors {
		got = append(got, e.Name+":"+strings.Join(e.Needs, ","))
	}
	want := "a:gateway side:a b:a c:gateway d:b,c e:d,gateway executor6:e"
	if strings.Join(got, " ") != want {
		t.Errorf("graph is %s, not %s", strings.Join(got, " "), want)
	}
	if last := f.Last(); last.Name != "executor6" {
		t.Errorf("last is %s", last.Name)
	}
}

// TestTwoSpellingsOfOneArgumentAreRefused: Jina takes a key of with for another one than the executor's when they are not
// written the same, and lets that of with win.
func TestTwoSpellingsOfOneArgumentAreRefused(t *testing.T) {
	const text = "jtype: Flow\nwith: {timeout_send: 5, protocols: http, retr: ~}\n" +
		"gateway: {protocol: grpc}\nexecutors:\n  - {name: a, uses: docker://a:1, timeout-send: 8, retries: 1}\n"
	_, problems := Parse(Source{Name: "f.yml", Data: []byte(text)})
	var got []string
	for _, p := range problems {
		if p.Severity == Error {
			got = append(got, p.Position.String()+" "+p.ID+" "+p.Hint)
		}
	}
	want := "f.yml:3:11 duplicate-key write protocol in both places, f.yml:5:35 duplicate-key write timeout_send in both places"
	if strings.Join(got, ", ") != want {
		t.Errorf("problems are\n%s\nnot\n%s", strings.Join(got, ", "), want)
	}
}

func TestInheritance(t *testing.T) {
	f := parse(t, `
jtype: Flow
with:
  name: shop
  env: {A: 1}
  timeout_send: 5
  monitoring: true
  port: 9
  protocol: http
  prefetch: 7
  workspace: /w
  kwargs: {retries: 3}
gateway: {timeout_send: 6}
executors:
  - {name: a, uses: docker://a:1}
  - {name: b, uses: docker://b:1, monitoring: false, timeout_send: 8, workspace: /own}
`)
	a, b, g := f.Executors[0].Args, f.Executors[1].Args, f.Gateway.Args
	for _, c := range []struct{ what, got, want string }{
		{"name", f.Name, "shop"},
		{"a timeout_send", a.Text("timeout_send", Coerced), "5"},
		{"b timeout_send", b.Text("timeout_send", Coerced), "8"},
		{"gateway timeout_send", g.Text("timeout_send", Coerced), "6"},
		{"a monitoring", fmt.Sprint(a.Flag("monitoring")), "true"},
		{"b monitoring", fmt.Sprint(b.Flag("monitoring")), "false"},
		{"a protocol", strings.Join(a.Texts("protocol", Coerced), " "), "GRPC"},
		{"gateway protocol", strings.Join(g.Texts("protocol", Coerced), " "), "HTTP"},
		{"gateway prefetch", g.Text("prefetch", Coerced), "7"},
		{"a prefetch", fmt.Sprint(a.Has("prefetch")), "false"},
		{"a port", fmt.Sprint(a.Has("port")), "false"},
		{"a workspace", a.Text("workspace", Coerced), "/w"},
		{"b workspace", b.Text("workspace", Coerced), "/own"},
		{"a env", fmt.Sprint(a.Has("env")), "false"},
		{"gateway env", g.Mapping("env").JSON(Coerced), `{"A": 1}`},
		{"retries from kwargs", a.Text("retries", Coerced), "3"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, not %s", c.what, c.got, c.want)
		}
	}
}

func TestScalarsAreReadAsPyYAMLDoes(t *testing.T) {
	for _, c := range []struct{ yaml, json, text string }{
		{"yes", "true", "yes"}, {"No", "false", "No"}, {"on", `"on"`, "on"}, {"y", `"y"`, "y"}, {"~", "null", ""},
		{"010", "8", "010"}, {"0x1F", "31", "0x1F"}, {"0b11", "3", "0b11"}, {"1_000", "1000", "1_000"}, {"1:30", "90", "1:30"},
		{"+1", "1", "+1"}, {"-0x1F", "-31", "-0x1F"}, {"0o10", `"0o10"`, "0o10"}, {"08", "8", "08"}, {"1e3", "1000.0", "1e3"},
		{"1.0", "1.0", "1.0"}, {".5", "0.5", ".5"}, {"1.e+3", "1000.0", "1.e+3"}, {".inf", "Infinity", ".inf"},
		{"-.INF", "-Infinity", "-.INF"}, {".nan", "NaN", ".nan"}, {"12345678901234567890", "12345678901234567890", "12345678901234567890"},
		{"1.10", "1.1", "1.10"}, {"1e300", "1e+300", "1e300"}, {"0.00001", "1e-05", "0.00001"}, {"123456789012345678.0", "1.2345678901234568e+17", "123456789012345678.0"},
		{"'007'", `"007"`, "007"}, {"''", `""`, ""}, {"'true'", `"true"`, "true"}, {"None", `"None"`, "None"},
		{`'"x"'`, `"x"`, "x"}, {`"é\n"`, `"\u00e9\n"`, "é\n"}, {`"😀"`, `"\ud83d\ude00"`, "😀"}, {"1.2.3", `"1.2.3"`, "1.2.3"},
	} {
		f := parse(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, env: {A: "+c.yaml+"}}]")
		v := f.Executors[0].Args.Mapping("env").Get("A")
		if got := v.JSON(Kept); got != c.json {
			t.Errorf("%s is kept as %s, not %s", c.yaml, got, c.json)
		}
		if got := v.PlainText(Kept); got != c.text {
			t.Errorf("%s is kept as text %q, not %q", c.yaml, got, c.text)
		}
	}
}

func TestTextsAreConvertedAsJinaDoes(t *testing.T) {
	for _, c := range []struct{ yaml, json, text string }{
		{"'007'", "7", "7"}, {"''", "null", "None"}, {"'TRUE'", "true", "True"}, {"'[1, [2, x]]'", `[1, 2, "x"]`, "[1, 2, 'x']"},
		{"' 1 '", "1", "1"}, {"'1_0'", "10", "10"}, {"'1__0'", `"1__0"`, "1__0"}, {"'nan'", "NaN", "nan"}, {"'Infinity'", "Infinity", "inf"},
		{`'"007"'`, "7", "7"}, {"'1.10'", "1.1", "1.1"}, {"'[]'", "[]", "[]"}, {"'0x10'", `"0x10"`, "0x10"},
		{`["it's", 'a"b']`, `["it's", "a\"b"]`, `["it's", 'a"b']`}, {"{a: null, b: 1.0}", `{"a": null, "b": 1.0}`, "{'a': None, 'b': 1.0}"},
	} {
		f := parse(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, env: {A: "+c.yaml+"}}]")
		v := f.Executors[0].Args.Mapping("env").Get("A")
		if got := v.JSON(Coerced); got != c.json {
			t.Errorf("%s is %s, not %s", c.yaml, got, c.json)
		}
		if got := v.PlainText(Coerced); got != c.text {
			t.Errorf("%s is %q, not %q", c.yaml, got, c.text)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"${{ ENV.FOO }}", `"foo"`}, {"${{ env.FOO }}bar", `"foobar"`}, {"${{ENV.FOO}}", `"foo"`}, {"$FOO-${FOO}", `"foo-foo"`},
		{"${{ ENV.NUM }}", "12"}, {"'${{ ENV.NUM }}'", "12"}, {"x${{ ENV.NUM }}", `"x12"`}, {"${{ ENV.NESTED }}", `"foo"`},
		{"$$FOO", `"$foo"`}, {"'$'", `"$"`}, {"$UNSET", `"$UNSET"`}, {"${{this.b}}", `"bee"`}, {"n-${{root.with.name}}", `"n-shop"`},
		{"${{root.executors[0].name}}", `"e"`}, {"${{this.c}}", `"bee"`}, {"${{foo}}", `"${{foo}}"`}, {"${{ ENV.EMPTY }}", "null"},
	} {
		f := parse(t, "jtype: Flow\nwith: {name: shop}\nexecutors:\n  - name: e\n    uses: docker://e:1\n    uses_with:\n      a: "+c.yaml+"\n      b: bee\n      c: ${{this.b}}\n",
			"FOO", "foo", "NUM", "12", "NESTED", "$FOO", "EMPTY", "")
		if got := f.Executors[0].Args.Mapping("uses_with").Get("a").JSON(Kept); got != c.want {
			t.Errorf("%s is %s, not %s", c.yaml, got, c.want)
		}
	}
}

func TestMergedMappingsGiveWay(t *testing.T) {
	f := parse(t, `
jtype: Flow
executors:
  - &a {name: a, uses: docker://a:1, replicas: 2, env: &env {X: 1, Y: 2}}
  - {<<: *a, name: b, env: {<<: [{Y: 3, Z: 4}, *env], X: 0}}
`)
	b := f.Executors[1]
	if b.Name != "b" || b.Replicas() != 2 || b.Uses.Image != "a:1" {
		t.Errorf("%s, %d replicas, image %s", b.Name, b.Replicas(), b.Uses.Image)
	}
	if got := b.Args.Mapping("env").JSON(Coerced); got != `{"X": 0, "Y": 3, "Z": 4}` {
		t.Error(got)
	}
}

func TestWordsOfACommandLine(t *testing.T) {
	f := parse(t, `
jtype: Deployment
with:
  name: e
  uses: docker://e:1
  env: [A=1, "B: two", '{"C": "x", "D": 1.50}']
  uses_with: {re: '\d', q: "it's \"x\""}
  exit_on_exceptions: [ValueError, KeyError]
  timeout_send: '500'
  polling: {/index: ANY}
  compression: Gzip
  allow_concurrent: true
  replicas: 1
`)
	args := f.Executors[0].Args
	for name, want := range map[string]string{
		"env":                `--env {"A": 1, "B": "two", "C": "x", "D": 1.5}`,
		"uses_with":          `--uses-with {"re": "\\d", "q": "it's \"x\""}`,
		"exit_on_exceptions": "--exit-on-exceptions ValueError KeyError",
		"timeout_send":       "--timeout-send 500",
		"polling":            `--polling {"/index": "ANY"}`,
		"compression":        "--compression Gzip",
		"allow_concurrent":   "--allow-concurrent",
		"replicas":           "",
	} {
		s, ok := args.Lookup(name)
		if !ok {
			t.Errorf("%s is not set", name)
		}
		if got := strings.Join(s.CommandLine(Coerced), " "); got != want {
			t.Errorf("%s becomes %q, not %q", name, got, want)
		}
	}
}

// TestTableIsSound holds the orders of the command lines against the table.
func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range arguments() {
		for _, scope := range []Scope{OnExecutor, OnGateway, OnFlow} {
			if a.In&scope == 0 {
				continue
			}
			for _, name := range append([]string{a.Name}, a.Aliases...) {
				key := fmt.Sprint(scope, name)
				if seen[key] {
					t.Errorf("%s of %s stands in the table twice", name, scope)
				}
				seen[key] = true
			}
		}
		if (a.Type == ChoiceArgument || a.Type == ExactArgument || a.Type == ProtocolArgument) && len(a.Choices) == 0 {
			t.Errorf("%s has no choices", a.Name)
		}
	}
	for _, name := range ExecutorOrder() {
		if !seen[fmt.Sprint(OnExecutor, name)] {
			t.Errorf("%s is in the executor's order and not in the table", name)
		}
	}
	for _, name := range GatewayOrder() {
		if !seen[fmt.Sprint(OnGateway, name)] {
			t.Errorf("%s is in the gateway's order and not in the table", name)
		}
	}
}

func TestBoundsAreKept(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"size":    {strings.Repeat("# x\n", 300_000), "more than 1048576 bytes"},
		"depth":   {"jtype: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested deeper than 64"},
		"deeper":  {"jtype: " + strings.Repeat("[", 20_000), "not YAML"},
		"aliases": {"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]", "more than 200000 values"},
		"itself":  {"a: &a [*a]", "inside of what it stands for"},
		"growth":  {"jtype: Flow\nexecutors:\n  - {name: e, uses: docker://e:1, env: {A: $X}}", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			grow := strings.Repeat("$X", 3000)
			_, problems := Parse(Source{Name: "f.yml", Data: []byte(c.text), Env: env("X", grow)})
			if err := problems.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("problems are %.300v", problems)
			}
		})
	}
}
