package plan

import (
	"strings"
	"testing"
)

// TestItemsThatServerSideApplyCannotTellApartAreNamed is anchors.md C7 and C8.
func TestItemsThatServerSideApplyCannotTellApartAreNamed(t *testing.T) {
	deployment := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    spec:
      volumes: [{name: v}, {name: v}]
      initContainers:
      - {name: wait, image: a, ports: [{containerPort: 1}, {containerPort: 1, protocol: TCP}]}
      containers:
      - name: executor
        image: a
        ports: [{containerPort: 8080}, {containerPort: 8080, protocol: UDP}, {containerPort: 8080, protocol: TCP}]
        env: [{name: A, value: x}, {name: B}, {name: A, value: y}, {name: A, value: z}]
        volumeMounts: [{name: v, mountPath: /a}, {name: w, mountPath: /a}]
      - {name: executor, image: b}
`)
	service := object(t, `{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{name: a, port: 1}, {name: b, port: 1, protocol: UDP}, {name: c, port: 1, protocol: TCP}]}}`)
	err := CheckMergeKeys([]Object{{Unstructured: deployment}, {Unstructured: service}})
	if err == nil {
		t.Fatal("nothing found")
	}
	want := `Deployment/d: container executor is there twice: take one of them out
Deployment/d: volume v is there twice: take one of them out
Deployment/d: container wait: port 1/TCP is there twice: take one of them out
Deployment/d: container executor: port 8080/TCP is there twice: take one of them out
Deployment/d: container executor: environment variable A is there twice: take one of them out
Deployment/d: container executor: environment variable A is there twice: take one of them out
Deployment/d: container executor: mount path /a is there twice: take one of them out
Service/s: port 1/TCP is there twice: take one of them out`
	if err.Error() != want {
		t.Errorf("%s\nwant:\n%s", err, want)
	}
	if err := CheckMergeKeys([]Object{{Unstructured: object(t, wantedDeployment)}}); err != nil {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "x") && strings.Contains(err.Error(), "value") {
		t.Error("a value is shown")
	}
}
