// loop sends the objects of a file to a cluster, one request each, sixteen at a time and as fast as the API server
// takes them. It reads nothing, compares nothing and waits for nothing: what it costs is what applying costs at least.
//
//	loop [-delete] FILE
//
// The file has one object a line, as JSON. The cluster is that of KUBECONFIG.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// workers is what the plugin has too.
const workers = 16

// manager of the fields, and the user agent.
const manager = "loop"

func main() {
	remove := flag.Bool("delete", false, "delete the objects instead of applying them")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: loop [-delete] FILE")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, flag.Arg(0), *remove)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, remove bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.QPS, config.UserAgent = -1, manager
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	lines := make(chan []byte)
	failures := make(chan error, workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			var errs []error
			for b := range lines {
				errs = append(errs, send(ctx, client, b, remove))
			}
			failures <- errors.Join(errs...)
		})
	}
	err = readLines(f, lines)
	close(lines)
	running.Wait()
	close(failures)
	for e := range failures {
		err = errors.Join(err, e)
	}
	return err
}

func readLines(r io.Reader, lines chan<- []byte) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		lines <- bytes.Clone(s.Bytes())
	}
	return s.Err()
}

func send(ctx context.Context, client dynamic.Interface, b []byte, remove bool) error {
	var o metav1.PartialObjectMetadata
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		return err
	}
	// Every kind of a Flow has a regular plural.
	r := client.Resource(gv.WithResource(strings.ToLower(o.Kind) + "s")).Namespace(o.Namespace)
	if remove {
		background := metav1.DeletePropagationBackground
		err = r.Delete(ctx, o.Name, metav1.DeleteOptions{PropagationPolicy: &background})
	} else {
		_, err = r.Patch(ctx, o.Name, types.ApplyPatchType, b, metav1.PatchOptions{FieldManager: manager})
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.Kind, o.Name, err)
	}
	return nil
}
