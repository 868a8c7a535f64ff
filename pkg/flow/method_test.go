package flow

import (
	"fmt"
	"strings"
	"testing"
)

// graphOf writes the graph: node<needs, in the order of the executors, then the last one.
func graphOf(f *Flow) string {
	var parts []string
	for _, e := range f.Executors {
		parts = append(parts, e.Node+"<"+strings.Join(e.Needs, "+"))
	}
	last := "nothing"
	if f.Last() != nil {
		last = f.Last().Node
	}
	return strings.Join(parts, " ") + " last " + last
}

// methodGraphs are graphs that jina 3.34.0 made: its own graph, and ours, which has no helpers of method: inspect.
func methodGraphs() []struct{ name, text, reference, ours string } {
	const a, b = "{name: a, uses: docker://a, needs: gateway}", "{name: b, uses: docker://b, needs: gateway}"
	return []struct{ name, text, reference, ours string }{
		{"needs", a + "\n" + b + "\n{method: needs, needs: [a, b]}", "a<gateway b<gateway joiner<a+b last joiner", ""},
		{"needs twice", a + "\n" + b + "\n{method: needs, needs: [a, b]}\n{name: c, uses: docker://c, needs: gateway}\n{method: needs_all}",
			"a<gateway b<gateway joiner<a+b c<gateway joiner4<c+joiner last joiner4", ""},
		{"needs_all", a + "\n" + b + "\n{name: f, uses: docker://f, floating: true, needs: gateway}\n{method: needs_all, name: all}",
			"a<gateway b<gateway f<gateway all<a+b last all", ""},
		{"needs_all of one", a + "\n{method: needs_all, name: all}", "a<gateway all<a last all", ""},
		{"inspect", a + "\n{method: inspect, name: look}\n{name: c, uses: docker://c}",
			"a<gateway look<a _aux_look<a c<_aux_look gather_inspect<c+look last gather_inspect",
			"a<gateway look<a c<a gather_inspect<c+look last gather_inspect"},
		{"inspect the gateway", "{method: inspect}\n{name: c, uses: docker://c}\n{name: d, uses: docker://d, needs: gateway}",
			"inspect<gateway _aux_inspect<gateway c<_aux_inspect d<_aux_inspect gather_inspect<d+inspect last gather_inspect",
			"inspect<gateway c<gateway d<gateway gather_inspect<d+inspect last gather_inspect"},
		{"two inspect", a + "\n{method: inspect, name: l1}\n{method: inspect, name: l2}\n{name: c, uses: docker://c, needs: [a, l1]}",
			"a<gateway l1<a _aux_l1<a l2<_aux_l1 _aux_l2<_aux_l1 c<_aux_l1+l1 gather_inspect<c+l1+l2 last gather_inspect",
			"a<gateway l1<a l2<a c<a+l1 gather_inspect<c+l1+l2 last gather_inspect"},
		{"inspect floating", a + "\n{method: inspect, name: l1, floating: true}\n{name: c, uses: docker://c}",
			"a<gateway l1<a _aux_l1<a c<a gather_inspect<c+l1 last gather_inspect",
			"a<gateway l1<a c<a gather_inspect<c+l1 last gather_inspect"},
		{"gather in the middle", a + "\n{method: inspect, name: look}\n{method: gather_inspect, uses: docker://g}\n" + b,
			"a<gateway look<a _aux_look<a gather_inspect<_aux_look+look b<gateway gather_inspect5<b+look last gather_inspect5",
			"a<gateway look<a gather_inspect<a+look b<gateway gather_inspect5<b+look last gather_inspect5"},
		{"hanging", "inspect: HANG\n" + a + "\n{method: inspect, name: look}",
			"a<gateway look<a _aux_look<a last _aux_look", "a<gateway look<a last a"},
		{"hanging, gathered without the last", "inspect: HANG\n" + a + "\n{method: inspect, name: l}\n{method: gather_inspect, name: zz, include_last_deployment: false}",
			"a<gateway l<a _aux_l<a zz<l last zz", "a<gateway l<a zz<l last zz"},
		{"hanging, then needs_all", "inspect: HANG\n" + a + "\n" + b + "\n{method: inspect, name: look}\n{method: needs_all, name: j}",
			"a<gateway b<gateway look<b _aux_look<b j<_aux_look+a+look last j", "a<gateway b<gateway look<b j<a+b+look last j"},
		{"removed", "inspect: REMOVE\n" + a + "\n{method: inspect, name: look}\n{name: c, uses: docker://c}", "a<gateway c<a last c", ""},
		{"removed at the end", "inspect: remove\n" + a + "\n{method: inspect, name: look}", "a<gateway last a", ""},
		{"two of one name", "{name: gather_inspect, uses: docker://g}\n{method: inspect, name: l}",
			"gather_inspect<gateway l<gather_inspect _aux_l<gather_inspect gather_inspect3<_aux_l+l last gather_inspect3",
			"gather_inspect<gateway l<gather_inspect gather_inspect3<gather_inspect+l last gather_inspect3"},
	}
}

func flowOfMethods(text string) string {
	with, executors := "{}", text
	if strings.HasPrefix(text, "inspect: ") {
		with, executors, _ = strings.Cut(text, "\n")
		with = "{" + with + "}"
	}
	return fmt.Sprintf("jtype: Flow\nwith: %s\nexecutors:\n- %s\n", with, strings.ReplaceAll(executors, "\n", "\n- "))
}

func TestMethodsMakeTheGraphOfJina(t *testing.T) {
	for _, c := range methodGraphs() {
		t.Run(c.name, func(t *testing.T) {
			f, problems := Parse(Source{Name: "f.yml", Data: []byte(flowOfMethods(c.text))})
			if f == nil || strings.Contains(fmt.Sprint(problems), "_aux_") {
				t.Fatal(problems)
			}
			if got := graphOf(f); got != c.reference {
				t.Errorf("the graph is\n%s, not\n%s", got, c.reference)
			}
			if c.ours == "" {
				c.ours = c.reference
			}
			if got := graphOf(f.WithoutHelpers()); got != c.ours {
				t.Errorf("without helpers the graph is\n%s, not\n%s", got, c.ours)
			}
		})
	}
}

func TestHelperHasTheArgumentsOfTheInspector(t *testing.T) {
	f := parse(t, flowOfMethods("{name: a, uses: docker://a}\n{method: inspect, name: look, uses: docker://l, shards: 2, env: {A: 1}, uses_before: docker://b}"))
	helper := f.Executor("_aux_look")
	if helper == nil || !helper.Helper || helper.Uses.Image != "" || helper.Shards() != 2 || helper.Args.Mapping("env") == nil || helper.UsesBefore == nil {
		t.Errorf("the helper is %+v", helper)
	}
}
