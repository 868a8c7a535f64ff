#!/usr/bin/env bash
# make demo: a real Flow on a real Kubernetes API server, without Docker and without a cluster of yours.
# It leaves the cluster up and says how to go on; under CI=true it stops it.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
# The state is outside of the checkout: the path of a Unix socket must be short.
state=${DEMO_DIR:-${TMPDIR:-/tmp}/kubectl-jina-demo-$(id -u)}
flow=examples/search/flow.yml
bin=$root/bin/kubectl-jina

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
if [ ! -t 2 ] || [ -n "${NO_COLOR:-}" ]; then say() { printf '\n%s\n' "$*" >&2; }; fi

# Shows a command as a user types it, and runs the plugin just built.
jina() {
  say "\$ kubectl jina $*"
  "$bin" "$@"
}

cluster=$(go run ./internal/testcluster/cmd/testenv -build)
stop() { "$cluster" stop --dir "$state" --rm; }

say "An embedded cluster: etcd and Kubernetes from their Go modules; its nodes and pods are simulated, and so are Linkerd's injector and what says for Jina that it answers."
"$cluster" stop --dir "$state" --rm 2>/dev/null || true
trap 'code=$?; [ $code = 0 ] || stop; exit $code' EXIT
trap 'exit 130' INT TERM
"$cluster" start --dir "$state" --detach --linkerd --ready-delay 700ms >/dev/null
export KUBECONFIG=$state/admin.kubeconfig

jina up -f "$flow"
jina scale text_encoder --replicas 3
jina status
jina ping
jina plan -f "$flow"

if [ "${CI:-}" = true ]; then
  jina down --yes
  stop
  exit 0
fi
cat >&2 <<EOF

The cluster stays up. Its nodes and pods are simulated: what answered the dry run, and answers ping, is a stand-in for Jina
behind the pods' ports. It follows the Flow's addresses from pod to pod, and works on no document. To go on, paste:

  export KUBECONFIG=$state/admin.kubeconfig
  export PATH=$root/bin:\$PATH        # then kubectl finds the plugin; kubectl-jina works without kubectl, too
  kubectl-jina status
  kubectl-jina scale gateway --replicas 3
  kubectl-jina down

and to stop it:

  $cluster stop --dir $state --rm
EOF
