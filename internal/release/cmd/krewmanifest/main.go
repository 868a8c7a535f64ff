// Command krewmanifest writes krew's manifest for the archives that goreleaser has just built.
//
//	go run ./internal/release/cmd/krewmanifest -manifest krew.yaml -dist dist
//
// writes dist/krew.yaml: krew.yaml with the version, addresses and checksums of the archives in dist.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubectl-jina/kubectl-jina/internal/release"
)

func main() {
	manifest := flag.String("manifest", "krew.yaml", "krew's manifest")
	dist := flag.String("dist", "dist", "folder that goreleaser wrote")
	flag.Parse()
	if err := run(*manifest, *dist); err != nil {
		fmt.Fprintf(os.Stderr, "krewmanifest: %v\n", err)
		os.Exit(1)
	}
}

func run(manifest, dist string) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	built, err := release.ReadDist(dist)
	if err != nil {
		return err
	}
	stamped, err := release.Stamp(text, built)
	if err != nil {
		return err
	}
	path := filepath.Join(dist, "krew.yaml")
	if err := os.WriteFile(path, stamped, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %s, %d platforms\n", path, built.Version, len(built.Archives))
	return nil
}
