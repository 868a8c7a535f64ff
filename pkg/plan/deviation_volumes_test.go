package plan

import (
	"fmt"
	"slices"
	"testing"
)

const flowWithVolumes = `
jtype: Flow
executors:
  - name: index
    uses: docker://i:1
    volumes: ["/host:/data", /cache]
    replicas: 2
`

func TestStatefulSetIsLegal(t *testing.T) {
	for compat, want := range map[bool]string{
		true:  "map[rollingUpdate:map[maxSurge:1 maxUnavailable:0] type:RollingUpdate] <nil> <nil>",
		false: "<nil> map[type:RollingUpdate] index",
	} {
		o := objectNamed(t, objectsOf(t, flowWithVolumes, Options{Compat: compat}), "StatefulSet/index")
		if got := fmt.Sprint(field(t, o, "spec", "strategy"), " ", field(t, o, "spec", "updateStrategy"), " ", field(t, o, "spec", "serviceName")); got != want {
			t.Errorf("compat %t: %s", compat, got)
		}
	}
	objectNamed(t, objectsOf(t, flowWithVolumes, Options{}), "Service/index") // the one that serviceName names
}

func TestReplicasOfAStatefulSetStartTogether(t *testing.T) {
	o := objectNamed(t, objectsOf(t, flowWithVolumes, Options{}), "StatefulSet/index")
	if got := field(t, o, "spec", "podManagementPolicy"); got != "Parallel" {
		t.Errorf("podManagementPolicy is %v", got)
	}
}

// mountsOf are the mounts of a StatefulSet's first container, and the names of its claims.
func mountsOf(t *testing.T, o Object) string {
	t.Helper()
	var claims []string
	for _, c := range claimTemplatesOf(o) {
		claims = append(claims, fmt.Sprint(c["metadata"].(map[string]any)["name"]))
	}
	return fmt.Sprint(containersOf(o)[0]["volumeMounts"], claims)
}

func TestEveryVolumeIsMountedAtItsFolder(t *testing.T) {
	for compat, want := range map[bool]string{
		true:  "[map[mountPath:/host:/data name:index-volume]] [index-volume]",
		false: "[map[mountPath:/data name:index-volume] map[mountPath:/cache name:index-volume-1]] [index-volume index-volume-1]",
	} {
		if got := mountsOf(t, objectNamed(t, objectsOf(t, flowWithVolumes, Options{Compat: compat}), "StatefulSet/index")); got != want {
			t.Errorf("compat %t: %s", compat, got)
		}
	}
}

func TestStorageIsTheClustersUnlessTheEnvironmentSaysMore(t *testing.T) {
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{}, "[ReadWriteOnce] 10G <nil>"},
		{Options{Compat: true}, "[ReadWriteOnce] 10G standard"},
		{Options{Storage: Storage{AccessModes: `["ReadWriteMany", "ReadOnlyMany"]`, Class: "fast", Capacity: "1Ti"}}, "[ReadWriteMany ReadOnlyMany] 1Ti fast"},
	} {
		templates := claimTemplatesOf(objectNamed(t, objectsOf(t, flowWithVolumes, c.options), "StatefulSet/index"))
		for _, template := range templates {
			spec := template["spec"].(map[string]any)
			storage := spec["resources"].(map[string]any)["requests"].(map[string]any)["storage"]
			if got := fmt.Sprint(spec["accessModes"], " ", storage, " ", spec["storageClassName"]); got != c.want {
				t.Errorf("%+v: %s, not %s", c.options, got, c.want)
			}
		}
		if len(templates) == 0 {
			t.Errorf("%+v: no claims", c.options)
		}
	}
}

func TestHeadOfAnExecutorWithVolumesIsADeployment(t *testing.T) {
	const text = `
jtype: Flow
executors:
  - {name: e, uses: docker://e:1, shards: 2, uses_before: docker://b:1, volumes: [/d]}
`
	without := objectsOf(t, `
jtype: Flow
executors:
  - {name: e, uses: docker://e:1, shards: 2, uses_before: docker://b:1}
`, Options{})
	head := objectNamed(t, objectsOf(t, text, Options{}), "Deployment/e-head")
	if got, want := jsonOf(t, []Object{head}), jsonOf(t, []Object{objectNamed(t, without, "Deployment/e-head")}); got != want {
		t.Errorf("the head is\n%s\nwithout volumes it is\n%s", got, want)
	}
	if n := len(containersOf(head)); n != 2 {
		t.Errorf("the head has %d containers", n)
	}
	compat := objectNamed(t, objectsOf(t, text, Options{Compat: true}), "StatefulSet/e-head")
	if n := len(containersOf(compat)); n != 1 {
		t.Errorf("the reference's head has %d containers", n)
	}
}

func TestClaimsSayWhoseDataTheyHave(t *testing.T) {
	const text = "jtype: Flow\nexecutors: [{name: my_e, uses: docker://e:1, shards: 2, volumes: [/d]}]"
	o := objectNamed(t, objectsOf(t, text, Options{FlowName: "shop"}), "StatefulSet/my-e-1")
	want := "map[app.kubernetes.io/managed-by:kubectl-jina jina.ai/executor:my-e jina.ai/flow:shop jina.ai/shard:1]"
	for _, c := range claimTemplatesOf(o) {
		if got := fmt.Sprint(c["metadata"].(map[string]any)["labels"]); got != want {
			t.Errorf("labels are %s", got)
		}
	}
}

func TestScalingAStatefulSetTouchesNothingButReplicas(t *testing.T) {
	one := objectsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, volumes: [/d]}]", Options{})
	three := objectsOf(t, "jtype: Flow\nexecutors: [{name: e, uses: docker://e:1, volumes: [/d], replicas: 3}]", Options{})
	for _, objects := range [][]Object{one, three} {
		spec := childOf(objectNamed(t, objects, "StatefulSet/e").Object, "spec")
		delete(spec, "replicas")
	}
	if jsonOf(t, one) != jsonOf(t, three) {
		t.Error("more than replicas differs")
	}
}

func TestPodForTheDryRunHasNoClaims(t *testing.T) {
	pod := GatewayPod(objectsOf(t, "jtype: Deployment\nwith: {name: e, uses: docker://e:1, volumes: [/a, /b]}", Options{}))
	var volumes, mounts []string
	for _, v := range pod.Spec.Volumes {
		if v.EmptyDir != nil {
			volumes = append(volumes, v.Name)
		}
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	if len(mounts) != 2 || !slices.Equal(volumes, mounts) {
		t.Errorf("volumes %v, mounts %v", volumes, mounts)
	}
}
