package plan

import (
	"strings"
	"testing"
)

func TestInspectionNeedsNoHelper(t *testing.T) {
	const text = `
jtype: Flow
executors:
  - {name: a, uses: docker://a:1}
  - {name: look, method: inspect, uses: docker://look:1, when: {x: {$eq: 1}}}
  - {name: b, uses: docker://b:1}
`
	reference := objectsOf(t, text, Options{Compat: true})
	if helper := objectNamed(t, reference, "Deployment/-aux-look"); helper.Part.Executor != "_aux_look" {
		t.Errorf("the helper is of %s", helper.Part)
	}
	objects := objectsOf(t, text, Options{})
	for _, o := range objects {
		if strings.Contains(o.GetName(), "aux") {
			t.Errorf("%s is made", o.Ref())
		}
	}
	args := argsOf(objectNamed(t, objects, "Deployment/gateway"), 0)
	for _, want := range []string{
		`--graph-description {"a": ["look", "b"], "start-gateway": ["a"], "look": ["gather_inspect"], "b": ["gather_inspect"], "gather_inspect": ["end-gateway"]} `,
		`--graph-conditions {"look": {"x": {"$eq": 1}}} `,
		`--deployments-addresses {"a": ["grpc://a.prod.svc:8080"], "look": ["grpc://look.prod.svc:8080"], "b": ["grpc://b.prod.svc:8080"], "gather_inspect": ["grpc://gather-inspect.prod.svc:8080"]} `,
	} {
		if !strings.Contains(args, want) {
			t.Errorf("the gateway has no %s: %s", want, args)
		}
	}
	if args := argsOf(objectNamed(t, objects, "Deployment/gather-inspect"), 0); !strings.Contains(args, "--name gather_inspect ") {
		t.Errorf("gather_inspect: %s", args)
	}
}

func TestRemovedInspectionLeavesNothing(t *testing.T) {
	const text = "jtype: Flow\nwith: {inspect: REMOVE}\nexecutors: [{name: a, uses: docker://a:1}, {name: look, method: inspect, uses: docker://look:1}]"
	for _, compat := range []bool{true, false} {
		objects := objectsOf(t, text, Options{Compat: compat})
		for _, o := range objects {
			if strings.Contains(o.GetName(), "look") {
				t.Errorf("compat %t: %s is made of an inspection that is removed", compat, o.Ref())
			}
		}
		if args := argsOf(objectNamed(t, objects, "Deployment/gateway"), 0); !strings.Contains(args, `{"a": ["end-gateway"], "start-gateway": ["a"]}`) {
			t.Errorf("compat %t: %s", compat, args)
		}
	}
}
