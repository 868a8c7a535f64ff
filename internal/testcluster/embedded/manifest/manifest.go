// Package manifest brings the cluster's own objects, written as YAML, to its API server.
package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// fieldManager owns what the cluster itself applies.
const fieldManager = "jina-testcluster"

// A kind is served about a second after its CRD was applied; a start on old state can be slower.
const (
	kindTimeout = 20 * time.Second
	retryEvery  = 50 * time.Millisecond
)

// Apply server-side-applies the documents of a YAML stream in their order, and waits for kinds that a CRD before them
// defines.
func Apply(ctx context.Context, config *rest.Config, stream string) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	dc, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	a := applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(dc))}
	for _, doc := range strings.Split(stream, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			return fmt.Errorf("object of the cluster: %w", err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if err := a.applyWhenServed(ctx, u); err != nil {
			return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

type applier struct {
	client dynamic.Interface
	mapper meta.ResettableRESTMapper
}

func (a applier) applyWhenServed(ctx context.Context, u *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, kindTimeout)
	defer cancel()
	for {
		err := a.apply(ctx, u)
		switch {
		case err == nil:
			return nil
		case meta.IsNoMatchError(err):
			a.mapper.Reset()
		// Discovery shows a new kind a moment before it is served.
		case !apierrors.IsNotFound(err):
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(retryEvery):
		}
	}
}

func (a applier) apply(ctx context.Context, u *unstructured.Unstructured) error {
	gvk := u.GroupVersionKind()
	m, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	b, err := json.Marshal(u.Object)
	if err != nil {
		return err
	}
	var r dynamic.ResourceInterface = a.client.Resource(m.Resource)
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		r = a.client.Resource(m.Resource).Namespace(u.GetNamespace())
	}
	force := true
	_, err = r.Patch(ctx, u.GetName(), types.ApplyPatchType, b, metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
	return err
}
