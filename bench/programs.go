package main

import (
	"context"
	"os"
	"path/filepath"
)

// scenario is what a program is asked for. They follow each other, in a namespace of their own for each program.
type scenario string

const (
	create    scenario = "create"
	unchanged scenario = "no change"
	changed   scenario = "one field changed"
	remove    scenario = "delete"
)

// name of a program, as the table has it.
type name string

const (
	jina      name = "kubectl-jina"
	jinaMesh  name = "kubectl-jina, mesh checked"
	jinaWaits name = "kubectl-jina, mesh checked, waits"
	loop      name = "bare loop"
	kubectl   name = "kubectl"
	helm      name = "helm"
)

// isOurs says whether it is the plugin.
func (n name) isOurs() bool { return n == jina || n == jinaMesh || n == jinaWaits }

// program is one that is measured.
type program struct {
	name name
	path string
	// args for a scenario; the material is of after it.
	args func(scenario, *material, string) []string
	// waits says that it returns only when the workloads are available.
	waits bool
	// user that it is, kubeconfig for that, and a home with its caches.
	user, kubeconfig, home string
}

// prepare makes the programs' users.
func (b *bench) prepare(ctx context.Context) ([]*program, error) {
	tool := func(name string) string { return filepath.Join(b.options.tools, executable(name)) }
	programs := []*program{
		{name: jina, path: b.options.plugin, args: plugin("none", "--wait=false"), user: "bench-jina"},
		{name: loop, path: tool("loop"), args: loopArgs, user: "bench-loop"},
		{name: kubectl, path: tool("kubectl"), args: kubectlArgs, user: "bench-kubectl"},
		{name: helm, path: tool("helm"), args: helmArgs, user: "bench-helm"},
	}
	if b.mode == withControllers {
		programs = append(programs,
			&program{name: jinaMesh, path: b.options.plugin, args: plugin("linkerd", "--wait=false"), user: "bench-jina-mesh"},
			&program{name: jinaWaits, path: b.options.plugin, args: plugin("linkerd"), user: "bench-jina-waits", waits: true})
	}
	for _, p := range programs {
		p.home = filepath.Join(b.dir, "home-"+p.user)
		if err := os.MkdirAll(p.home, 0o755); err != nil {
			return nil, err
		}
		var err error
		if p.kubeconfig, err = b.cluster.user(ctx, p.user); err != nil {
			return nil, err
		}
	}
	return programs, nil
}

// environment is the program's whole one.
func (p *program) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "KUBECONFIG=" + p.kubeconfig}
}

// plugin runs up, and down without a wait: the other programs' deletions do not wait either.
func plugin(mesh string, more ...string) func(scenario, *material, string) []string {
	return func(s scenario, m *material, namespace string) []string {
		if s == remove {
			return []string{"down", "--flow", flowName, "-n", namespace, "--yes", "--wait=false"}
		}
		return append([]string{"up", "-f", m.flow, "--name", flowName, "-n", namespace, "--mesh", mesh, "--yes", "--verify=false"}, more...)
	}
}

func loopArgs(s scenario, m *material, _ string) []string {
	if s == remove {
		return []string{"-delete", m.list}
	}
	return []string{m.list}
}

func kubectlArgs(s scenario, m *material, namespace string) []string {
	if s == remove {
		return []string{"delete", "-n", namespace, "-f", m.manifest, "--wait=false"}
	}
	return []string{"apply", "--server-side", "-n", namespace, "-f", m.manifest}
}

func helmArgs(s scenario, m *material, namespace string) []string {
	switch s {
	case create:
		return []string{"install", releaseName, m.chart, "-n", namespace}
	case remove:
		return []string{"uninstall", releaseName, "-n", namespace}
	}
	return []string{"upgrade", releaseName, m.chart, "-n", namespace}
}
