package plan

import (
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// problemsOf are the problems of a Flow for a cluster, one a line.
func problemsOf(t *testing.T, text string, o Options) string {
	t.Helper()
	f, problems := flow.Parse(flow.Source{Name: "f.yml", Data: []byte(text)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if o.Namespace == "" {
		o.Namespace = "prod"
	}
	var lines []string
	for _, p := range Check(f, o) {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func TestWhatNoClusterCanRunIsRefused(t *testing.T) {
	for _, c := range []struct{ name, executor, want string }{
		{"stateful", "stateful: true, replicas: 3, workspace: /w", "f.yml:3:37: error: stateful: the replicas of executor e cannot find each other"},
		{"TLS", "tls: true", "f.yml:3:37: error: tls: executor e cannot speak TLS"},
		{"a certificate", "ssl_certfile: c, ssl_keyfile: k", "f.yml:3:37: error: ssl_certfile: executor e cannot speak TLS"},
		{"TLS by its host", "host: 'grpcs://x:443'", "f.yml:3:43: error: executor e cannot speak TLS, which its host asks for with grpcs://; write external: true"},
		{"GPUs that are no number", "gpus: 'device=1'", `f.yml:3:43: error: Kubernetes counts GPUs: "device=1" of executor e is no number`},
		{"half a GPU", "gpus: 1.5", "f.yml:3:43: error: Kubernetes counts GPUs"},
		{"a relative volume", "volumes: [~/x]", `f.yml:3:47: error: volume of executor e: "~/x" is no absolute path; write the folder in the container with all its parents: /x`},
		{"the whole container", "volumes: [/d, '/host:/']", "f.yml:3:51: error: volume of executor e: it would hide everything"},
		{"a folder twice", "volumes: [/d, '/x:/d/']", "f.yml:3:51: error: volume of executor e: /d is mounted twice"},
		{"two folders in a text", "volumes: '/a, /b'", "f.yml:3:46: error: volume of executor e: \"/a, /b\" is one folder to Jina; write a list"},
	} {
		text := "jtype: Flow\nexecutors:\n  - {name: e, uses: 'docker://e:1', " + c.executor + "}"
		if got := problemsOf(t, text, Options{}); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s\nnot %s…", c.name, got, c.want)
		}
		if got := problemsOf(t, text, Options{Compat: true}); got != "" {
			t.Errorf("%s: --compat refuses it: %s", c.name, got)
		}
	}
}

func TestAddressesThatCannotBeCalledAreRefused(t *testing.T) {
	for _, c := range []struct{ executor, want, compat string }{
		{"host: a", "f.yml:3:37: error: executor e is external and has no port; write host: a:PORT", "f.yml:3:37: error: executor e is external and has no port; write host: a:PORT"},
		{"host: 'https://a'", "f.yml:3:37: error: executor e is external and has no port", ""},
		{"port: 80", "f.yml:3:5: error: executor e is external and has no host", ""},
		{"host: a, port: http", `f.yml:3:37: error: executor e is external: "http" is no port`, ""},
		{"host: a, port: 70000", `f.yml:3:37: error: executor e is external: "70000" is no port`, ""},
		{"host: 'a/b:1'", `f.yml:3:37: error: executor e is external: "a/b" is no host name`, ""},
		{"host: 'localhost:1'", "f.yml:3:37: warning: executor e is external: on a cluster localhost is the gateway's own pod", ""},
		{"host: 'http://a:1'", "f.yml:3:37: warning: executor e: the gateway calls executors by gRPC, whatever http:// says", ""},
		{"host: 'grpcs://a:1'", "", ""},
	} {
		text := "jtype: Flow\nexecutors:\n  - {name: e, external: true, " + c.executor + "}"
		for compat, want := range map[bool]string{true: c.compat, false: c.want} {
			if got := problemsOf(t, text, Options{Compat: compat}); !strings.HasPrefix(got, want) || want == "" && got != "" {
				t.Errorf("%s, compat %t: %s\nnot %s…", c.executor, compat, got, want)
			}
		}
	}
	if got := problemsOf(t, "jtype: Deployment\nwith: {external: true, host: a, port: 1}", Options{}); !strings.HasPrefix(got, "f.yml:2:18: error: the Deployment is external: there is nothing to deploy") {
		t.Error(got)
	}
}

func TestCertificateOfTheFlowIsTheGateways(t *testing.T) {
	const executors = "executors:\n  - {name: a, uses: 'docker://e:1'}\n  - {name: b, uses: 'docker://e:1'}"
	inherited := problemsOf(t, "jtype: Flow\nwith: {ssl_certfile: c, ssl_keyfile: k}\n"+executors, Options{GatewayImage: "mine/gw:1"})
	if want := "f.yml:2:8: warning: the certificate is for the gateway alone"; !strings.HasPrefix(inherited, want) || strings.Count(inherited, "\n") != 0 {
		t.Errorf("%s\nnot %s… once", inherited, want)
	}
	stock := problemsOf(t, "jtype: Flow\ngateway: {ssl_certfile: c.pem, ssl_keyfile: k}\n"+executors, Options{})
	if want := `f.yml:2:25: warning: "c.pem" is a file in the gateway's container, and Jina's own image has no such file`; !strings.HasPrefix(stock, want) {
		t.Errorf("%s\nnot %s…", stock, want)
	}
	half := problemsOf(t, "jtype: Flow\ngateway: {ssl_keyfile: k}\n"+executors, Options{})
	if want := "f.yml:2:11: error: ssl_keyfile without ssl_certfile: the gateway would not start"; !strings.HasPrefix(half, want) {
		t.Errorf("%s\nnot %s…", half, want)
	}
}

func TestStorageOfTheEnvironmentIsChecked(t *testing.T) {
	const text = "jtype: Flow\nexecutors:\n  - {name: e, uses: 'docker://e:1', volumes: [/d]}"
	for want, s := range map[string]Storage{
		"f.yml:3:47: error: JINA_K8S_ACCESS_MODES is \"ReadWriteMany\", not a JSON list":    {AccessModes: "ReadWriteMany"},
		"f.yml:3:47: error: JINA_K8S_ACCESS_MODES is \"[\\\"RWO\\\"]\", not a JSON list":    {AccessModes: `["RWO"]`},
		"f.yml:3:47: error: JINA_K8S_STORAGE_CLASS_NAME is \"My Class\", which is no name":  {Class: "My Class"},
		"f.yml:3:47: error: JINA_K8S_STORAGE_CAPACITY is \"much\", which is no size":        {Capacity: "much"},
		"f.yml:3:47: error: JINA_K8S_STORAGE_CAPACITY is \"-1Gi\", which is no size; write": {Capacity: "-1Gi"},
	} {
		for _, compat := range []bool{true, false} {
			if got := problemsOf(t, text, Options{Storage: s, Compat: compat}); !strings.HasPrefix(got, want) {
				t.Errorf("compat %t: %s\nnot %s…", compat, got, want)
			}
		}
		if got := problemsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1}]", Options{Storage: s}); got != "" {
			t.Errorf("without volumes: %s", got)
		}
	}
}

func TestNameOfAStatefulSetLeavesRoomForItsPods(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("a", 52): "",
		strings.Repeat("a", 53): "f.yml:3:12: error: executor " + strings.Repeat("a", 53) + " has volumes, with which " + strings.Repeat("a", 53) + " is too long by 1",
	} {
		text := "jtype: Flow\nexecutors:\n  - {name: " + name + ", uses: 'docker://e:1', volumes: [/d]}"
		if got := problemsOf(t, text, Options{}); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%d letters: %s", len(name), got)
		}
	}
}

func TestGatewayCannotCallExecutorsByHTTP(t *testing.T) {
	const executors = "executors:\n  - {name: e, uses: 'docker://e:1', protocol: http}"
	want := "f.yml:3:47: warning: executor e speaks HTTP alone, and Jina's gateway calls executors by gRPC"
	if got := problemsOf(t, "jtype: Flow\n"+executors, Options{}); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nnot %s…", got, want)
	}
	if got := problemsOf(t, "jtype: Flow\ngateway: {uses: docker://g:1}\n"+executors, Options{}); got != "" {
		t.Errorf("a gateway of its own may: %s", got)
	}
}
