package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// podDefaults are what the API server sets in a pod template where nothing is said (Kubernetes' pkg/apis/core/v1/defaults.go),
// by field, without the keys of list items. imagePullPolicy is defaultPullPolicy's.
var podDefaults = map[string]any{
	"dnsPolicy":                           "ClusterFirst",
	"restartPolicy":                       "Always",
	"schedulerName":                       "default-scheduler",
	"securityContext":                     map[string]any{},
	"terminationGracePeriodSeconds":       int64(30),
	"containers.resources":                map[string]any{},
	"containers.terminationMessagePath":   "/dev/termination-log",
	"containers.terminationMessagePolicy": "File",
	"containers.ports.protocol":           "TCP",
	"probe.failureThreshold":              int64(3),
	"probe.periodSeconds":                 int64(10),
	"probe.successThreshold":              int64(1),
	"probe.timeoutSeconds":                int64(1),
	"probe.httpGet.path":                  "/",
	"probe.httpGet.scheme":                "HTTP",
	"probe.grpc.service":                  "",
	"volumes.configMap.defaultMode":       int64(0o644),
	"volumes.secret.defaultMode":          int64(0o644),
	"volumes.projected.defaultMode":       int64(0o644),
	"volumes.emptyDir":                    map[string]any{},
	"volumes.hostPath.type":               "",
}

// specDefaults are those of the other fields, by kind (pkg/apis/apps/v1/defaults.go, pkg/apis/core/v1/defaults.go).
var specDefaults = map[string]map[string]any{
	"Deployment": {
		"replicas":                              int64(1),
		"revisionHistoryLimit":                  int64(10),
		"progressDeadlineSeconds":               int64(600),
		"strategy":                              map[string]any{"type": "RollingUpdate", "rollingUpdate": rollingUpdate()},
		"strategy.type":                         "RollingUpdate",
		"strategy.rollingUpdate":                rollingUpdate(),
		"strategy.rollingUpdate.maxSurge":       "25%",
		"strategy.rollingUpdate.maxUnavailable": "25%",
	},
	"StatefulSet": {
		"replicas":                                         int64(1),
		"revisionHistoryLimit":                             int64(10),
		"podManagementPolicy":                              "OrderedReady",
		"updateStrategy":                                   map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(0)}},
		"updateStrategy.type":                              "RollingUpdate",
		"updateStrategy.rollingUpdate":                     map[string]any{"partition": int64(0)},
		"updateStrategy.rollingUpdate.partition":           int64(0),
		"persistentVolumeClaimRetentionPolicy":             map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"},
		"persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
		"persistentVolumeClaimRetentionPolicy.whenScaled":  "Retain",
	},
	"Service": {
		"type":                  "ClusterIP",
		"sessionAffinity":       "None",
		"internalTrafficPolicy": "Cluster",
		"ports.protocol":        "TCP",
	},
}

func rollingUpdate() map[string]any {
	return map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"}
}

// allocated are fields of a Service that the API server chooses and carries over where nothing is said
// (pkg/registry/core/service/storage, patchAllocatedValues): they never go.
var allocated = []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "ports.nodePort", "healthCheckNodePort"}

// withDefaults is a prediction with what the API server sets where a field goes: where that is what is there, nothing changes.
// A tool that wrote an object with an ordinary create or update owns the defaults of that moment, too.
func withDefaults(o *unstructured.Unstructured, diffs []difference) []difference {
	var out []difference
	for _, d := range diffs {
		if d.has || !d.had {
			out = append(out, d)
			continue
		}
		after, known := defaultAt(o, d)
		switch {
		case !known:
			out = append(out, d)
		case !value.Equals(value.NewValueInterface(d.before), value.NewValueInterface(after)):
			d.after, d.has = after, true
			out = append(out, d)
		}
	}
	return out
}

// defaultAt is the default of a field that goes.
func defaultAt(o *unstructured.Unstructured, d difference) (any, bool) {
	field, ok := strings.CutPrefix(fieldNames(d.path), "spec.")
	if !ok {
		return nil, false
	}
	if o.GetKind() == "Service" {
		for _, a := range allocated {
			if field == a {
				return d.before, true
			}
		}
	}
	if inPod, ok := strings.CutPrefix(field, "template.spec."); ok && isWorkload(o) {
		return podDefault(o, inPod, d.path)
	}
	v, known := specDefaults[o.GetKind()][field]
	return v, known
}

func podDefault(o *unstructured.Unstructured, field string, path fieldpath.Path) (any, bool) {
	if rest, ok := strings.CutPrefix(field, "initContainers."); ok {
		field = "containers." + rest
	}
	for _, probe := range []string{"containers.livenessProbe.", "containers.readinessProbe.", "containers.startupProbe."} {
		if rest, ok := strings.CutPrefix(field, probe); ok {
			field = "probe." + rest
		}
	}
	if field == "containers.imagePullPolicy" {
		container, has := lookUp(o.Object, path[:len(path)-1])
		m, ok := container.(map[string]any)
		image, _ := m["image"].(string)
		return defaultPullPolicy(image), has && ok
	}
	v, known := podDefaults[field]
	return v, known
}

// defaultPullPolicy is what the API server sets for an image: Always for the tag latest, said or not, IfNotPresent for all
// others, digests included.
func defaultPullPolicy(image string) string {
	name := image[strings.LastIndex(image, "/")+1:]
	if strings.Contains(name, "@") {
		return "IfNotPresent"
	}
	if _, tag, tagged := strings.Cut(name, ":"); tagged && tag != "latest" {
		return "IfNotPresent"
	}
	return "Always"
}

// fieldNames are the names of a path's fields, with dots between them.
func fieldNames(path fieldpath.Path) string {
	var names []string
	for _, e := range path {
		if e.FieldName != nil {
			names = append(names, *e.FieldName)
		}
	}
	return strings.Join(names, ".")
}
