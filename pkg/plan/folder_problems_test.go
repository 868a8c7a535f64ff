package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// TestProblemsOfFolders holds every word that is said about a broken or defective folder against testdata/folder.
func TestProblemsOfFolders(t *testing.T) {
	add := func(text string) edit { return edit{"zz.yml", "", text} }
	for _, c := range []struct {
		name, corpus string
		edits        []edit
		without      string
		warnings     bool // and no error
	}{
		{"plain_export", "flow-one", nil, "", true},
		{"volumes", "arg-volumes-colon", nil, "", true},
		{"stateful", "arg-stateful", nil, "", true},
		{"tls", "flow-ssl", nil, "", true},
		{"side_containers", "shards-2-r1-before-after", nil, "", true},
		{"words_without_quotes", "env-on-off", nil, "", true},
		{"unknown_field", "flow-one", []edit{{encoderFile, "imagePullPolicy", "imagePullPolicies"}, {encoderFile, "spec:\n  replicas", "spec:\n  color: blue\n  replicas"}}, "", false},
		{"wrong_types", "flow-one", []edit{
			{encoderFile, "replicas: 1", "replicas: two"}, {gatewayFile, "replicas: 1", "replicas: 1.5"}, {gatewayFile, "containerPort: 8080", "containerPort: 99999999999"},
			{encoderFile, "      labels:\n        app: encoder\n", "      labels:\n        app: [encoder]\n"}, {encoderFile, "  type: ClusterIP", "  type: {a: b}"},
			{encoderFile, "        command:\n        - jina\n", "        command: jina\n"}, {gatewayFile, "        - gateway\n", "        -\n"},
		}, "", false},
		{"duplicate_key", "flow-one", []edit{{encoderFile, "  replicas: 1\n", "  replicas: 1\n  replicas: 2\n"}}, "", false},
		{"twice_in_a_list", "flow-one", []edit{
			{encoderFile, "        - name: JINA_DEPLOYMENT_NAME\n", "        - name: POD_UID\n          value: x\n        - name: JINA_DEPLOYMENT_NAME\n"},
			{encoderFile, "        - containerPort: 8080\n", "        - containerPort: 8080\n        - containerPort: 8080\n          protocol: TCP\n        - containerPort: 8080\n          protocol: UDP\n"},
			{gatewayFile, "  ports:\n", "  ports:\n  - name: again\n    port: 8080\n"},
			{gatewayFile, "      containers:\n", "      initContainers:\n      - name: a\n        image: b\n      - name: a\n        image: c\n        env: [{name: X}, {name: X}]\n      containers:\n"},
		}, "", false},
		{"no_yaml", "flow-one", []edit{{encoderFile, "  replicas: 1\n", "\treplicas: 1\n"}, {gatewayFile, "", "\x00"}, add("a: \xff\n")}, "", false},
		{"odd_yaml", "flow-one", []edit{add("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: &d {x: *d}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {x: !!binary aGk=, y: !foo z, [k]: v}\n")}, "", false},
		{"other_kinds", "flow-one", []edit{add("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: hush}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n" +
			"apiVersion: apps/v1\nkind: Deploymnet\n---\napiVersion: extensions/v1beta1\nkind: Deployment\n---\napiVersion: v1\nkind: List\nitems: []\n---\n" +
			"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\n---\njtype: Flow\n---\n- 1\n---\nkustomize: true\n")}, "", false},
		{"other_workload", "flow-one", []edit{add("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: redis}\nspec:\n  selector: {matchLabels: {app: redis}}\n  template:\n    metadata: {labels: {app: redis}}\n    spec: {containers: [{name: redis, image: redis}]}\n")}, "", false},
		{"unused_objects", "flow-one", []edit{add("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes, labels: {app: encoder}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: lost}\nspec: {selector: {app: nobody}, ports: [{port: 1, appProtocol: grpc}]}\n")}, "", true},
		{"labels_broken", "shards-2-r2", []edit{{"idx/idx-0.yml", "pod_type: WORKER", "pod_type: worker"}, {"idx/idx-1.yml", "shard_id: '1'", "shard_id: one"}, {gatewayFile, "        app: gateway\n        jina", "        app: gw\n        jina"}}, "", false},
		{"two_of_a_part", "shards-2-r2", []edit{{"idx/idx-1.yml", "shard_id: '1'", "shard_id: '0'"}}, "", false},
		{"two_of_a_name", "name-collision", nil, "", false},
		{"illegal_names", "name-03", nil, "", false},
		{"two_namespaces", "flow-one", []edit{{encoderFile, "  namespace: default", "  namespace: other"}}, "", false},
		{"illegal_namespace", "namespace-upper", nil, "", false},
		{"wrong_address", "flow-one", []edit{{gatewayFile, "encoder.default.svc", "encoder.other.svc"}}, "", false},
		{"no_gateway", "graph-chain", nil, gatewayFile, false},
		{"no_executor", "flow-one", nil, encoderFile, true},
		{"no_shard", "shards-2-r2", nil, "idx/idx-1.yml", false},
		{"left_over_executor", "flow-one", []edit{{gatewayFile, `{"encoder": ["end-gateway"], "start-gateway": ["encoder"]}`, `{"start-gateway": ["end-gateway"]}`}, {gatewayFile, `{"encoder": ["grpc://encoder.default.svc:8080"]}`, "{}"}}, "", true},
		{"graph_broken", "flow-one", []edit{{gatewayFile, `'{"encoder": ["end-gateway"], "start-gateway": ["encoder"]}'`, `'{"encoder": [nope'`}, {gatewayFile, `["grpc://encoder.default.svc:8080"]`, `7`}}, "", false},
		{"graph_without_address", "flow-one", []edit{{gatewayFile, `"start-gateway": ["encoder"]`, `"start-gateway": ["encoder"], "nope": ["encoder"]`}}, "", false},
		{"image_variable", "flow-one", []edit{{encoderFile, "encoder:1.0", "encoder:$TAG"}}, "", false},
		{"json_broken", "flow-one", []edit{{encoderFile, "        - --uses-metas\n", "        - --uses-with\n        - '{\"a\": \"say \"x\"\"}'\n        - --uses-metas\n"}}, "", true},
		{"from_a_cluster", "flow-one", []edit{{encoderFile, "metadata:\n  name: encoder-configmap\n", "metadata:\n  name: encoder-configmap\n  uid: abc\n  resourceVersion: '7'\n  creationTimestamp: null\n"},
			{encoderFile, "spec:\n  replicas: 1", "status: {}\nspec:\n  replicas: 1"}}, "", true},
		{"record", "flow-one", []edit{add("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: jina-f}\n")}, "", false},
		{"nameless", "flow-one", []edit{add("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n")}, "", false},
		{"nothing", "flow-one", []edit{{encoderFile, "", ""}}, "*", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := editedFolder(t, c.corpus, c.edits...)
			if c.without == "*" {
				files = []FolderFile{{Name: "dir/empty.yml", Data: []byte("# nothing\n---\n---\n")}}
			}
			files = withoutFile(files, c.without)
			folder, problems := ReadFolder(files, FolderOptions{FlowName: "f", Namespace: "default"})
			if refused := problems.Err() != nil; refused == c.warnings || refused != (folder == nil) {
				t.Errorf("refused: %v, folder %v", refused, folder != nil)
			}
			var b strings.Builder
			for _, p := range problems {
				fmt.Fprintln(&b, p)
				if p.Position.Line == 0 && c.name != "nothing" {
					t.Errorf("no position: %s", p)
				}
				if strings.Contains(p.String(), "hush") {
					t.Errorf("the value of a Secret is shown: %s", p)
				}
			}
			golden(t, filepath.Join("testdata", "folder", c.name+".txt"), b.String())
		})
	}
}

// TestManyProblemsAreBounded reads a folder in which everything is wrong.
func TestManyProblemsAreBounded(t *testing.T) {
	text := strings.Repeat("apiVersion: v1\nkind: Nonsense\n---\n", 10*maxFolderProblems)
	_, problems := ReadFolder([]FolderFile{{Name: "a.yml", Data: []byte(text)}}, FolderOptions{FlowName: "f"})
	if len(problems) == 0 || len(problems) > maxFolderProblems+1 {
		t.Errorf("%d problems", len(problems))
	}
	if last := problems[len(problems)-1]; !strings.Contains(last.Message, "1800 more") {
		t.Errorf("nothing says how many there are: %s", last)
	}
}

// TestAliasBombInAFolderIsRefused reads aliases of aliases: a few lines that stand for a billion values.
func TestAliasBombInAFolderIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: bomb}\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	deep := "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: deep}\nspec: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n"
	for _, text := range []string{b.String(), deep} {
		folder, problems := ReadFolder([]FolderFile{{Name: "a.yml", Data: []byte(text)}}, FolderOptions{FlowName: "f"})
		if folder != nil || len(problems) == 0 || problems[0].ID != flow.IDUnreadable || problems[0].Position.Line == 0 {
			t.Errorf("%v", problems)
		}
	}
}

// FuzzReadFolder holds that no text ends the program, and that what is accepted is whole: every object has a part, a name and the
// folder's namespace.
func FuzzReadFolder(f *testing.F) {
	for _, name := range []string{"flow-one", "shards-2-r1-before-after", "arg-volumes", "env-on-off", "dep-multi-protocol"} {
		dir := filepath.Join("testdata", "corpus", name, "expected")
		for _, pattern := range []string{"*.yml", "*/*.yml"} {
			files, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		folder, problems := ReadFolder([]FolderFile{{Name: "a.yml", Data: data}}, FolderOptions{FlowName: "f", Namespace: "ns"})
		if folder == nil {
			if problems.Err() == nil {
				t.Fatal("neither a folder nor an error")
			}
			return
		}
		for _, o := range folder.Objects {
			if o.Part.Role == "" || o.GetName() == "" || o.GetNamespace() != folder.Namespace || o.GetLabels()[LabelFlow] != "f" {
				t.Errorf("%s of %q in %q", o.Ref(), o.Part, o.GetNamespace())
			}
		}
		StartupBudget(folder.Objects)
		GatewayPod(folder.Objects)
	})
}
