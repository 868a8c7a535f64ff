package plan

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// objectsOf makes the objects of a text.
func objectsOf(t *testing.T, text string, o Options) []Object {
	t.Helper()
	f, problems := flow.Parse(flow.Source{Name: "flow.yml", Data: []byte(text)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if o.Namespace == "" {
		o.Namespace = "prod"
	}
	objects, problems := Objects(f, o)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return objects
}

// objectNamed finds Kind/name.
func objectNamed(t *testing.T, objects []Object, ref string) Object {
	t.Helper()
	for _, o := range objects {
		if o.Ref().String() == ref {
			return o
		}
	}
	t.Fatalf("no %s", ref)
	return Object{}
}

// field is what stands at a path.
func field(t *testing.T, o Object, path ...string) any {
	t.Helper()
	v, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// argsOf are the words of a container's command line.
func argsOf(o Object, container int) string {
	return fmt.Sprint(containersOf(o)[container]["args"])
}

func TestQuotedTextStaysText(t *testing.T) {
	const text = `
jtype: Flow
executors:
  - name: e
    uses: docker://e:1
    uses_with: {zip: '00501', list: '[a, b]', plain: 00501, on: true}
    env: {ZIP: '00501', V: 1.10, E: '', N: null, B: true, L: [1, a]}
    image_pull_secrets: ['007']
    env_from_secret: {TOKEN: {name: '08', key: '1.10'}}
    title: '1.10'
`
	objects := objectsOf(t, text, Options{})
	want := map[string]any{
		"ZIP": "00501", "V": "1.10", "E": "", "N": "", "B": "true", "L": `[1, "a"]`,
		"pythonunbuffered": "1", "worker_class": "uvicorn.workers.UvicornH11Worker", "GRPC_DNS_RESOLVER": "native",
	}
	if got := field(t, objectNamed(t, objects, "ConfigMap/e-configmap"), "data"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("env is\n%v\nnot\n%v", got, want)
	}
	if args := argsOf(objectNamed(t, objects, "Deployment/e"), 0); !strings.Contains(args, `{"zip": "00501", "list": "[a, b]", "plain": 321, "on": true}`) {
		t.Error(args)
	}
	if pod := fmt.Sprint(field(t, objectNamed(t, objects, "Deployment/e"), "spec", "template", "spec")); !strings.Contains(pod, "secretKeyRef:map[key:1.10 name:08]") ||
		!strings.Contains(pod, "imagePullSecrets:[map[name:007]]") {
		t.Error(pod)
	}
	compat := objectsOf(t, text, Options{Compat: true})
	if got := field(t, objectNamed(t, compat, "ConfigMap/e-configmap"), "data", "ZIP"); got != "501" {
		t.Errorf("with --compat the reference's %q is wanted, got %q", "501", got)
	}
}

func TestFlowEnvReachesEveryPod(t *testing.T) {
	objects := objectsOf(t, `
jtype: Flow
with: {env: {A: flow, B: flow}}
gateway: {env: {B: gateway}}
executors:
  - name: e
    uses: docker://e:1
    env: {A: own}
`, Options{})
	for ref, want := range map[string]string{"ConfigMap/e-configmap": "own flow", "ConfigMap/gateway-configmap": "flow gateway"} {
		o := objectNamed(t, objects, ref)
		if got := fmt.Sprint(field(t, o, "data", "A"), " ", field(t, o, "data", "B")); got != want {
			t.Errorf("%s has %q, not %q", ref, got, want)
		}
	}
}

func TestChangedConfigMapRollsThePods(t *testing.T) {
	const text = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, env: {A: %s}}]"
	sum := func(value, of string) any {
		return field(t, objectNamed(t, objectsOf(t, fmt.Sprintf(text, value), Options{}), of), "spec", "template", "metadata", "annotations", AnnotationConfigChecksum)
	}
	if a, b := sum("one", "Deployment/e"), sum("two", "Deployment/e"); a == b || a == nil {
		t.Errorf("another env has the same checksum %v", a)
	}
	if a, b := sum("one", "Deployment/gateway"), sum("two", "Deployment/gateway"); a != b {
		t.Error("the gateway's checksum follows an executor's env")
	}
}

func TestReplicasDoNotTouchThePodTemplate(t *testing.T) {
	template := func(n int) string {
		objects := objectsOf(t, fmt.Sprintf("jtype: Flow\ngateway: {replicas: %d}\nexecutors: [{name: e, uses: docker://e:1, shards: 2, replicas: %d}]", n, n), Options{})
		return fmt.Sprint(field(t, objectNamed(t, objects, "Deployment/e-1"), "spec", "template"), field(t, objectNamed(t, objects, "Deployment/gateway"), "spec", "template"))
	}
	if template(1) != template(4) {
		t.Error("the pod template depends on replicas")
	}
}

func TestLabelsAreLegalAndSelectorsTheReferences(t *testing.T) {
	long := strings.Repeat("long", 14) // 56 letters: with -head still a DNS label
	objects := objectsOf(t, "jtype: Flow\nexecutors: [{name: A_"+long+", uses: docker://e:1, shards: 2}]", Options{FlowName: "My Flow é", JinaVersion: "3.34.0+local"})
	for _, o := range objects {
		labels := childOf(o.Object, "metadata", "labels")
		if template, ok := field(t, o, "spec", "template", "metadata", "labels").(map[string]any); ok {
			for k, v := range template {
				labels[k] = v
			}
			if got := fmt.Sprint(field(t, o, "spec", "selector", "matchLabels")); got != "map[app:"+o.GetName()+"]" {
				t.Errorf("%s selects %s", o.Ref(), got)
			}
		}
		for key, value := range labels {
			if reasons := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value.(string))...); len(reasons) > 0 {
				t.Errorf("%s: label %s=%q: %v", o.Ref(), key, value, reasons)
			}
		}
		if labels[LabelFlow] != "my-flow" || labels[LabelManagedBy] != "kubectl-jina" || labels[LabelComponent] != string(o.Part.Role) {
			t.Errorf("%s: %v", o.Ref(), labels)
		}
		if o.Part.Role == RoleShard && labels[LabelShard] != fmt.Sprint(o.Part.Shard) {
			t.Errorf("%s has shard %v", o.Ref(), labels[LabelShard])
		}
		if o.Part.Role != RoleGateway && labels[LabelExecutor] != "a-"+long {
			t.Errorf("%s has executor %v", o.Ref(), labels[LabelExecutor])
		}
	}
}

func TestObjectsAreTheSameEveryTime(t *testing.T) {
	const text = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, shards: 3, env: {A: 1, B: 2, C: 3}}, {name: f, uses: docker://f:1}]"
	first := jsonOf(t, objectsOf(t, text, Options{}))
	for range 10 {
		if again := jsonOf(t, objectsOf(t, text, Options{})); again != first {
			t.Fatal("the objects differ from run to run")
		}
	}
}

// jsonOf is the text of all objects.
func jsonOf(t *testing.T, objects []Object) string {
	t.Helper()
	var b strings.Builder
	for _, o := range objects {
		text, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

func TestTextArrivesAsItStands(t *testing.T) {
	const text = `
jtype: Flow
executors:
  - name: e
    uses: docker://e:1
    uses_with: {re: '\d+', who: "o'brien \"é\"", port: '{port}', lines: "a\nb"}
    env: {MODE: on, PATH_: 'C:\x'}
`
	want := `--uses-with {"re": "\\d+", "who": "o'brien \"\u00e9\"", "port": "{port}", "lines": "a\nb"} `
	for _, compat := range []bool{true, false} {
		objects := objectsOf(t, text, Options{Compat: compat})
		if args := argsOf(objectNamed(t, objects, "Deployment/e"), 0); !strings.Contains(args, want) {
			t.Errorf("compat %t: %s", compat, args)
		}
		data := fmt.Sprint(field(t, objectNamed(t, objects, "ConfigMap/e-configmap"), "data"))
		if !strings.Contains(data, `MODE:on PATH_:C:\x`) {
			t.Errorf("compat %t: %s", compat, data)
		}
	}
}

// deviationTests has a test of each deviation.
func deviationTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"gateway-image":      TestImageOfTheGateway,
		"text-intact":        TestTextArrivesAsItStands,
		"inspect-helper":     TestInspectionNeedsNoHelper,
		"head-stateless":     TestHeadOfAnExecutorWithVolumesIsADeployment,
		"legal-statefulset":  TestStatefulSetIsLegal,
		"parallel-start":     TestReplicasOfAStatefulSetStartTogether,
		"volume-mounts":      TestEveryVolumeIsMountedAtItsFolder,
		"storage-class":      TestStorageIsTheClustersUnlessTheEnvironmentSaysMore,
		"claim-labels":       TestClaimsSayWhoseDataTheyHave,
		"gateway-class":      TestGatewayRunsTheClassOfItsProtocols,
		"external-hosts":     TestGatewayCallsAllHostsOfAnExternalExecutor,
		"executor-plaintext": TestOwnExecutorsAreCalledAsTheyListen,
		"text-kept":          TestQuotedTextStaysText,
		"workspace-kept":     TestWorkspaceIsTheContainers,
		"flow-env":           TestFlowEnvReachesEveryPod,
		"shell-log-level":    TestShellLogLevelIsLeftOut,
		"replicas-argument":  TestReplicasDoNotTouchThePodTemplate,
		"dns-resolver":       TestNamesAreResolvedByThePodsOwnResolver,
		"native-probes":      TestKubeletAsksTheFirstPort,
		"startup-budget":     TestGatewayWaitsForItsSlowestExecutor,
		"protocol-tcp":       TestEveryContainerPortIsTCP,
		"progress-deadline":  TestProgressDeadlineIsLongerThanTheStartupProbe,
		"graceful-end":       TestPodsFinishTheirLongestRequest,
		"anti-affinity":      TestReplicasPreferDifferentNodes,
		"app-protocol":       TestServicesSayWhatTheirPortsSpeak,
		"labels":             TestLabelsAreLegalAndSelectorsTheReferences,
		"config-checksum":    TestChangedConfigMapRollsThePods,
	}
}

func TestWorkspaceIsTheContainers(t *testing.T) {
	const text = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, workspace: ./w}]"
	options := Options{WorkingDir: "/home/me"}
	if args := argsOf(objectNamed(t, objectsOf(t, text, options), "Deployment/e"), 0); !strings.Contains(args, "--workspace ./w ") {
		t.Error(args)
	}
	options.Compat = true
	if args := argsOf(objectNamed(t, objectsOf(t, text, options), "Deployment/e"), 0); !strings.Contains(args, "--workspace /home/me/w ") {
		t.Error(args)
	}
}

func TestShellLogLevelIsLeftOut(t *testing.T) {
	const text = "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}, {name: f, uses: docker://f:1, env: {JINA_LOG_LEVEL: INFO}}]"
	for compat, want := range map[bool]string{true: "DEBUG INFO", false: "<nil> INFO"} {
		objects := objectsOf(t, text, Options{LogLevel: "DEBUG", Compat: compat})
		level := func(ref string) any { return field(t, objectNamed(t, objects, ref), "data", "JINA_LOG_LEVEL") }
		if got := fmt.Sprint(level("ConfigMap/e-configmap"), " ", level("ConfigMap/f-configmap")); got != want {
			t.Errorf("compat %v: %s", compat, got)
		}
	}
}

func TestEveryContainerPortIsTCP(t *testing.T) {
	objects := objectsOf(t, "jtype: Flow\ngateway: {protocol: [grpc, http]}\nexecutors: [{name: e, uses: docker://e:1, shards: 2, uses_before: docker://b:1}]", Options{})
	ports := 0
	for _, o := range objects {
		for _, c := range containersOf(o) {
			for _, p := range c["ports"].([]any) {
				ports++
				if got := p.(map[string]any)["protocol"]; got != "TCP" {
					t.Errorf("%s: protocol is %v", o.Ref(), got)
				}
			}
		}
	}
	if ports != 6 {
		t.Errorf("%d ports", ports)
	}
}

// TestDeviationsAreDocumented holds docs/deviations.md to the declarations; -update writes it.
func TestDeviationsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Deviations from Jina's own export\n\n" +
		"<!-- Made from pkg/plan/deviation.go by `go test ./pkg/plan -update`. -->\n\n" +
		"The objects of `kubectl jina` are those of `jina export kubernetes` (Jina " + JinaVersion + ") with these differences. `export --compat` leaves out all\n" +
		"but those marked *always*, without which Kubernetes or Jina would read something else than the file says.\n")
	b.WriteString("\n| id | Jina's export | why not | instead | fields | test |\n|---|---|---|---|---|---|\n")
	tests := deviationTests()
	for _, d := range Deviations() {
		always := ""
		if d.Always {
			always = " (always)"
		}
		test, ok := tests[d.ID]
		if !ok {
			t.Errorf("deviation %s has no test", d.ID)
			continue
		}
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s | `%s` | `%s` |\n", d.ID, always, d.Reference, d.Reason, d.Instead,
			strings.Join(d.Paths, "`, `"), name[strings.LastIndex(name, ".")+1:])
	}
	golden(t, filepath.Join("..", "..", "docs", "deviations.md"), b.String())
}

func TestGatewayPodIsTheFirstWorkloadWithoutAGateway(t *testing.T) {
	flowPod := GatewayPod(objectsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}]", Options{}))
	if got := flowPod.Labels["app"]; got != "gateway" {
		t.Errorf("app is %q", got)
	}
	alone := GatewayPod(objectsOf(t, "jtype: Deployment\nwith: {name: e, uses: docker://e:1}", Options{}))
	if got := alone.Labels["app"]; got != "e" {
		t.Errorf("app is %q", got)
	}
	if GatewayPod(nil) != nil {
		t.Error("a pod of nothing")
	}
}

func TestImageOfTheGateway(t *testing.T) {
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{}, "jinaai/jina:3.34.0"},
		{Options{JinaVersion: "3.33.0"}, "jinaai/jina:3.33.0"},
		{Options{JinaVersion: "3.33.0", GatewayImage: "mine/gw:1"}, "mine/gw:1"},
	} {
		objects := objectsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}]", c.options)
		if got := containersOf(objectNamed(t, objects, "Deployment/gateway"))[0]["image"]; got != c.want {
			t.Errorf("image is %v, not %s", got, c.want)
		}
	}
}

func TestNamesThatNoClusterAcceptsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, namespace, want string }{
		"hyphen first":      {"jtype: Flow\nexecutors:\n  - {name: _x, uses: docker://e:1}", "", "f.yml:3:12: error: executor name \"_x\""},
		"too long for head": {"jtype: Flow\nexecutors:\n  - {name: " + strings.Repeat("a", 60) + ", uses: docker://e:1, shards: 2}", "", "f.yml:3:12: error:"},
		"not ASCII":         {"jtype: Flow\nexecutors:\n  - {name: éncoder, uses: docker://e:1}", "", "f.yml:3:12: error:"},
		"digit first":       {"jtype: Deployment\nwith: {name: 1abc, uses: docker://e:1}", "", "f.yml:2:14: error:"},
		"slash":             {"jtype: Deployment\nwith: {name: a/b, uses: docker://e:1}", "", "f.yml:2:14: error:"},
		"namespace":         {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}]", "My Flow", `f.yml: error: namespace "My Flow" is not legal`},
		"env":               {"jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, env: {a b: 1}}]", "", "f.yml:2:49: error: environment variable \"a b\""},
		"no image":          {"jtype: Flow\nexecutors:\n  - {name: e}", "", "f.yml:3:5: error: executor e has no image; write uses: docker://IMAGE"},
		"gateway":           {"jtype: Flow\nexecutors:\n  - {name: Gateway, uses: docker://e:1}", "", "f.yml:3:12: error: gateway and Gateway would both be"},
	} {
		t.Run(name, func(t *testing.T) {
			f, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(c.text)})
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			ns := c.namespace
			if ns == "" {
				ns = "default"
			}
			objects, problems := Objects(f, Options{Namespace: ns})
			if err := problems.Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) || objects != nil {
				t.Errorf("error is %v, not %s…; %d objects", err, c.want, len(objects))
			}
		})
	}
}

func TestJoinerNeedsNoImage(t *testing.T) {
	objects := objectsOf(t, `
jtype: Flow
executors:
  - {name: a, uses: docker://a:1}
  - {name: b, uses: docker://b:1, needs: gateway}
  - {name: join, needs: [a, b]}
`, Options{})
	if got := containersOf(objectNamed(t, objects, "Deployment/join"))[0]["image"]; got != "jinaai/jina:3.34.0" {
		t.Errorf("image is %v", got)
	}
}

func TestFlowNames(t *testing.T) {
	for _, c := range []struct {
		file, own, want string
	}{
		{"/home/me/shop/flow.yml", "", "shop"},
		{"/home/me/shop/flow.yml", "My Shop", "my-shop"},
		{"/home/me/shop/search.yml", "", "search"},
		{"/home/me/Search_Flow/JINA.yaml", "", "search-flow"},
		{"flow.yml", "", "flow"},
		{`C:\work\shop\flow.yml`, "", "shop"},
		{"", "é!", ""},
	} {
		candidates := []string{c.own}
		if c.file != "" {
			candidates = append(candidates, NameFromFile(c.file))
		}
		if got := NameFlow(candidates...); got != c.want {
			t.Errorf("%q named %q is called %q, not %q", c.file, c.own, got, c.want)
		}
	}
}
