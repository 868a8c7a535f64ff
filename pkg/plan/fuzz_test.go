package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// FuzzNames: what is made of a name is legal or refused, and making it legal again changes nothing.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"", "a", "encoder_1", "My Flow", "_x", "x_", "é", "İstanbul", "ẞ", "K", "a/b", "-", "--", strings.Repeat("a", 63), strings.Repeat("ab_", 30), "gateway", "Gateway",
		"on", "1", "null", "a.b", "..", "a\x00b", "\xff", "a\nb", "日本語", "x-", "a--b", "flow.yml", `C:\flows\flow.yml`, "/flow.yml", "a-0", "x_head", "𝒳",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if once := DNSName(name); DNSName(once) != once {
			t.Fatalf("DNSName(%q) is %q, and again %q", name, once, DNSName(once))
		}
		label := NameFlow(name, NameFromFile(name))
		if label != "" && len(validation.IsDNS1123Label(label)) > 0 {
			t.Fatalf("NameFlow(%q) is %q", name, label)
		}
		if label != NameFlow(label) {
			t.Fatalf("NameFlow(%q) is %q, and again %q", name, label, NameFlow(label))
		}
		value := labelValue(name)
		if len(validation.IsValidLabelValue(value)) > 0 || labelValue(value) != value {
			t.Fatalf("labelValue(%q) is %q, and again %q", name, value, labelValue(value))
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			`{jtype: Deployment, with: {uses: docker://a:1, name: ` + string(quoted) + `}}`,
			`{jtype: Flow, executors: [{uses: docker://a:1, name: ` + string(quoted) + `}, {name: other, uses: docker://b:1, shards: 2}]}`,
		} {
			parsed, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(text)})
			if problems.Err() != nil {
				continue
			}
			objects, problems := Objects(parsed, Options{FlowName: label, Namespace: "default"})
			if problems.Err() == nil {
				checkLegal(t, objects)
			}
		}
	})
}

// FuzzObjects: the objects of every Flow that is accepted are such as an API server reads, with legal names, and the same each
// time.
func FuzzObjects(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "corpus", "*", "input.yml"))
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		src := flow.Source{Name: "f.yml", Data: data, Env: func(string) (string, bool) { return "value", true }}
		parsed, problems := flow.Read(src)
		if parsed == nil || countPods(parsed) > 40 {
			return
		}
		if problems.Err() != nil {
			Check(parsed, Options{Namespace: "default"})
			return
		}
		for _, compat := range []bool{false, true} {
			o := Options{FlowName: "fuzzed", Namespace: "default", Compat: compat, WorkingDir: "/work"}
			objects, problems := Objects(parsed, o)
			if problems.Err() != nil {
				if len(objects) > 0 {
					t.Fatalf("objects in spite of %v", problems)
				}
				continue
			}
			if len(objects) == 0 && (parsed.Gateway != nil) {
				t.Fatal("no objects")
			}
			checkLegal(t, objects)
			if !compat {
				again, _ := Objects(parsed, o)
				for i := range objects {
					if objects[i].GetLabels()[LabelFlow] != "fuzzed" {
						t.Fatalf("%s is of no Flow", objects[i].Ref())
					}
					if !reflect.DeepEqual(objects[i].Object, again[i].Object) {
						t.Fatalf("%s is another at the second time", objects[i].Ref())
					}
				}
			}
		}
	})
}

// checkLegal holds the objects against the rules of Kubernetes that the API server would hold them against first.
func checkLegal(t *testing.T, objects []Object) {
	t.Helper()
	seen := map[Ref]bool{}
	for _, o := range objects {
		if seen[o.Ref()] {
			t.Fatalf("two objects are %s", o.Ref())
		}
		seen[o.Ref()] = true
		checkTexts(t, o.Ref(), o.Object)
		if o.GetLabels()[LabelFlow] == "" {
			continue // with Compat objects are as the reference's, legal or not (D1, D10, D19)
		}
		reasons := validation.IsDNS1123Subdomain(o.GetName())
		if o.GetKind() == "Service" {
			reasons = validation.IsDNS1035Label(o.GetName())
		}
		if len(reasons) > 0 {
			t.Fatalf("%s: %v", o.Ref(), reasons)
		}
		checkLabels(t, o.Ref(), o.GetLabels())
		text, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		switch o.GetKind() {
		case "ConfigMap":
			var c corev1.ConfigMap
			decodeStrictly(t, o.Ref(), text, &c)
			for key := range c.Data {
				if reasons := validation.IsConfigMapKey(key); len(reasons) > 0 {
					t.Fatalf("%s: key %q: %v", o.Ref(), key, reasons)
				}
			}
		case "Service":
			decodeStrictly(t, o.Ref(), text, &corev1.Service{})
		case "Deployment":
			var d appsv1.Deployment
			decodeStrictly(t, o.Ref(), text, &d)
			checkTemplate(t, o.Ref(), d.Spec.Selector.MatchLabels, d.Spec.Template)
		case "StatefulSet":
			var s appsv1.StatefulSet
			decodeStrictly(t, o.Ref(), text, &s)
			checkTemplate(t, o.Ref(), s.Spec.Selector.MatchLabels, s.Spec.Template)
		}
	}
}

// decodeStrictly reads an object as an API server does.
func decodeStrictly(t *testing.T, ref Ref, text []byte, into any) {
	t.Helper()
	strict, err := kjson.UnmarshalStrict(text, into)
	if err != nil || len(strict) > 0 {
		t.Fatalf("%s: %v %v in %s", ref, err, strict, text)
	}
}

func checkTemplate(t *testing.T, ref Ref, selector map[string]string, pod corev1.PodTemplateSpec) {
	t.Helper()
	checkLabels(t, ref, pod.Labels)
	for key, value := range selector {
		if pod.Labels[key] != value {
			t.Fatalf("%s selects %s=%s, its pods have %q", ref, key, value, pod.Labels[key])
		}
	}
	for _, c := range pod.Spec.Containers {
		if c.Image == "" || strings.ContainsAny(c.Image, " \n\x00") {
			t.Fatalf("%s: image %q", ref, c.Image)
		}
		if reasons := validation.IsDNS1123Label(c.Name); len(reasons) > 0 {
			t.Fatalf("%s: container %q: %v", ref, c.Name, reasons)
		}
		for _, word := range slices.Concat(c.Command, c.Args) {
			if strings.ContainsRune(word, 0) {
				t.Fatalf("%s: argument %q has a NUL", ref, word)
			}
		}
		for _, e := range c.Env {
			if reasons := validation.IsEnvVarName(e.Name); len(reasons) > 0 {
				t.Fatalf("%s: variable %q: %v", ref, e.Name, reasons)
			}
		}
	}
}

func checkLabels(t *testing.T, ref Ref, labels map[string]string) {
	t.Helper()
	for key, value := range labels {
		if reasons := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); len(reasons) > 0 {
			t.Fatalf("%s: label %s=%q: %v", ref, key, value, reasons)
		}
	}
}

// checkTexts wants text that Kubernetes can store and a process can be given.
func checkTexts(t *testing.T, ref Ref, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			checkTexts(t, ref, key)
			checkTexts(t, ref, child)
		}
	case []any:
		for _, child := range v {
			checkTexts(t, ref, child)
		}
	case string:
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			t.Fatalf("%s: text %q", ref, v)
		}
	}
}
