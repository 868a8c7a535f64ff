# The targets that a user or a contributor types; `make help` lists them. What CI runs is .ci/run.
# Everything here needs Go, make, git and a C compiler (for `go test -race`); e2e needs a container daemon too.

GO ?= go
TESTFLAGS ?=
VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-g$$(git rev-parse --short HEAD 2>/dev/null || echo none))

MODULE := github.com/kubectl-jina/kubectl-jina
EMBEDDED := internal/testcluster/embedded
# A tool is built again when the pinned version or the Go version changes: a linter reads only code of its own Go.
TOOLS := .cache/tools/$(shell $(GO) env GOVERSION)
EXE := $(shell $(GO) env GOEXE)
LDFLAGS := -s -w -X $(MODULE)/pkg/cmd.Version=$(VERSION)
# The same settings as in .goreleaser.yaml: build, vet, staticcheck and the release then share compiled packages.
RELEASE_ENV := CGO_ENABLED=0
RELEASE_FLAGS := -trimpath -buildvcs=false

.PHONY: help build install test demo lint fmt-check vet staticcheck vulncheck release-snapshot e2e \
	conformance conformance-sample soak soak-faults bench bench-export clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-17s %s\n' "$$t" "$$d"; done

build: ## the plugin, as bin/kubectl-jina
	$(RELEASE_ENV) $(GO) build $(RELEASE_FLAGS) -ldflags '$(LDFLAGS)' -o bin/kubectl-jina$(EXE) ./cmd/kubectl-jina

install: ## the plugin and its completion, into Go's folder for programs, where kubectl finds them when that is in PATH
	$(RELEASE_ENV) $(GO) install $(RELEASE_FLAGS) -ldflags '$(LDFLAGS)' ./cmd/kubectl-jina
	@dir="$$($(GO) env GOBIN)"; dir="$${dir:-$$($(GO) env GOPATH)/bin}"; echo "installed $$dir/kubectl-jina$(EXE)"; \
	from="$$dir/kubectl-jina$(EXE)"; to="$$dir/kubectl_complete-jina$(EXE)"; ln -f "$$from" "$$to" 2>/dev/null || cp -f "$$from" "$$to" || exit 1; \
	case ":$$PATH:" in *":$$dir:"*) ;; *) echo "kubectl finds it once $$dir is in PATH" ;; esac

test: ## everything that needs no Docker, on an embedded cluster; TESTFLAGS=-race and the like
	$(GO) run ./internal/testcluster/cmd/testenv -- $(GO) test -timeout 60m $(TESTFLAGS) ./...
	cd $(EMBEDDED) && $(GO) vet ./... && $(GO) test ./...

demo: build ## a Flow on an embedded cluster, from YAML to running
	./examples/demo.sh

lint: fmt-check vet staticcheck ## formatting, vet, staticcheck

fmt-check: ## all Go code is as gofmt writes it
	@files="$$(gofmt -l bench cmd e2e internal pkg)"; test -z "$$files" || { echo "not formatted (gofmt -w does it):"; echo "$$files"; exit 1; }

vet: ## go vet for linux, darwin and windows, the e2e tests included
	@for os in linux darwin windows; do \
		echo "GOOS=$$os go vet -tags e2e ./..."; \
		GOOS=$$os $(RELEASE_ENV) $(GO) vet -trimpath -tags e2e ./... || exit 1; \
	done
	cd $(EMBEDDED) && $(GO) vet ./...
	cd bench && $(GO) vet ./...

staticcheck: $(TOOLS)/staticcheck ## staticcheck, with the checks of staticcheck.conf
	$(RELEASE_ENV) GOFLAGS='$(RELEASE_FLAGS)' $(TOOLS)/staticcheck -tags e2e ./...

vulncheck: $(TOOLS)/govulncheck ## govulncheck, where its data can be reached
	GOVULNCHECK=$(TOOLS)/govulncheck .ci/vulncheck

# goreleaser asks for the address of a remote even for a snapshot, and without one forgets commit and date too. A clone
# that has none is given the project's, for this command only. CI is unset because goreleaser colours its lines wherever it
# is set, terminal or not.
release-snapshot: $(TOOLS)/goreleaser ## the archives of a release, with checksums and krew's manifest, in dist/
	@if git rev-parse --git-dir >/dev/null 2>&1 && [ -z "$$(git remote)" ]; then \
		n="$${GIT_CONFIG_COUNT:-0}"; \
		export GIT_CONFIG_COUNT=$$((n + 1)) "GIT_CONFIG_KEY_$$n=remote.origin.url" "GIT_CONFIG_VALUE_$$n=https://$(MODULE)"; \
	fi; \
	unset CI; echo "goreleaser release --snapshot --clean"; $(TOOLS)/goreleaser release --snapshot --clean
	$(GO) run ./internal/release/cmd/krewmanifest -manifest krew.yaml -dist dist
	$(GO) test -count=1 ./internal/release -dist=../../dist

e2e: build ## the plugin against real pods, on a cluster made with kind: needs Docker, Podman or nerdctl
	KUBECTL_JINA=$(CURDIR)/bin/kubectl-jina$(EXE) $(GO) test -tags e2e -count=1 -timeout 45m -v ./e2e/...

# The real Jina, in a Python environment of its own: conformance/requirements.txt names every package of it.
PYTHON ?= python3.11
VENV := .cache/conformance/venv
SEED ?= 1
N ?= 2000

conformance: $(VENV)/ready ## every stored case, made again by the real Jina and compared with ours: needs Python 3.11
	$(GO) run ./conformance corpus

soak: $(VENV)/ready ## random Flows through the real Jina and through ours, until N=2000 from SEED=1 on agree
	$(GO) run ./conformance soak -seed $(SEED) -n $(N)

# Every number here has a small one of its own in `make test`.
KILL_POINTS ?= 200
KILL_SEED ?= 1

soak-faults: ## runs of the plugin killed at KILL_POINTS=200 requests from KILL_SEED=1 on, interrupted, and against a flaky API server
	KILL_POINTS=$(KILL_POINTS) KILL_SEED=$(KILL_SEED) SIGNAL_POINTS=100 FLAKY_SEEDS=20 TOGETHER_ROUNDS=40 \
		$(GO) run ./internal/testcluster/cmd/testenv -- $(GO) test -count=1 -timeout 3h -v ./internal/faults

conformance-sample: $(VENV)/ready ## writes the random Flows with Jina's output that `make test` reads
	$(GO) run ./conformance sample -seed $(SEED)

bench-export: build $(VENV)/ready ## time and memory of `export`, side by side with the real Jina
	$(GO) run ./conformance bench -plugin bin/kubectl-jina$(EXE)

# Other tools with the same objects on the same cluster. BENCH_FLAGS=-strict makes a missed bar an error; see docs/performance.md.
BENCH := .cache/bench
BENCH_N ?= 10,100,1000
BENCH_FLAGS ?=

bench: build ## `up` beside a bare loop, kubectl and Helm 4 on an embedded cluster, for BENCH_N=10,100,1000 executors
	cd bench && $(GO) build -ldflags '-s -w' -o $(CURDIR)/$(BENCH)/ . ./cmd/...
	$(BENCH)/bench$(EXE) -n $(BENCH_N) -plugin bin/kubectl-jina$(EXE) -tools $(BENCH) -json $(BENCH)/results.json $(BENCH_FLAGS)

$(VENV)/ready: conformance/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "the real Jina needs Python 3.11, and $(PYTHON) is not installed; PYTHON=COMMAND takes another one"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian its package is python3.11-venv"; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r conformance/requirements.txt
	@touch $@

clean: ## removes what these targets built
	rm -rf bin dist .cache

$(TOOLS)/staticcheck $(TOOLS)/govulncheck: internal/tools/go.mod
	$(GO) build -C internal/tools -o $(CURDIR)/$(TOOLS)/ tool
	@touch $(TOOLS)/staticcheck $(TOOLS)/govulncheck

$(TOOLS)/goreleaser: internal/tools/goreleaser/go.mod
	$(GO) build -C internal/tools/goreleaser -o $(CURDIR)/$(TOOLS)/ tool
	@touch $@
