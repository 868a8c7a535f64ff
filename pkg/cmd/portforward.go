package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-jina/kubectl-jina/pkg/meshcheck"
	"github.com/kubectl-jina/kubectl-jina/pkg/plan"
	"github.com/kubectl-jina/kubectl-jina/pkg/portforward"
	"github.com/kubectl-jina/kubectl-jina/pkg/rollout"
	"github.com/kubectl-jina/kubectl-jina/pkg/verify"
)

var (
	portForwardLong = templates.LongDesc(`
		Reach a part of a running Flow from this machine: what connects to a local port is carried to a ready pod.

		A target is gateway, which is the default, EXECUTOR, EXECUTOR/SHARD or EXECUTOR/head. Without ports all that the
		target serves are forwarded, from the same local port where that is free and any other where it is not. A port
		is REMOTE, LOCAL:REMOTE, or :REMOTE for any free local port.

		When the pod goes, or the connection is lost, new connections go to another ready pod. It ends with Ctrl-C.
		All of it goes to one pod: this is no way to share load between replicas.

		Exit codes: 0 ended by Ctrl-C, 1 an error, as a local port that is taken, 4 a permission is missing, 64 an unknown
		target.`)

	portForwardExample = templates.Examples(`
		# The gateway's ports
		kubectl jina port-forward

		# The gateway's port 8080 on the local port 9000
		kubectl jina port-forward 9000:8080

		# A shard, on any local port, reachable from other machines
		kubectl jina port-forward indexer/1 :8080 --address 0.0.0.0`)
)

type portForwardOptions struct {
	flowRef
	target    string
	ports     []portSpec
	addresses []string

	factory *factory
	genericiooptions.IOStreams
}

func newPortForwardCommand(f *factory, streams genericiooptions.IOStreams) *cobra.Command {
	o := &portForwardOptions{factory: f, IOStreams: streams}
	c := &cobra.Command{
		Use:     "port-forward [gateway | EXECUTOR[/SHARD | /head]] [[LOCAL:]PORT]...",
		Short:   "Reach a Flow's gateway, or an executor, from this machine",
		Long:    portForwardLong,
		Example: portForwardExample,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.Complete(args); err != nil {
				return err
			}
			if err := o.Validate(); err != nil {
				return err
			}
			return o.Run(c.Context())
		},
	}
	o.bind(c.Flags())
	c.Flags().StringSliceVar(&o.addresses, "address", []string{"127.0.0.1"}, "Addresses of this machine to listen on")
	return c
}

// Complete tells the target from the ports.
func (o *portForwardOptions) Complete(args []string) error {
	o.target = string(plan.RoleGateway)
	if len(args) > 0 && strings.Trim(args[0], "0123456789:") != "" {
		o.target, args = args[0], args[1:]
	}
	for _, a := range args {
		p, err := parsePortSpec(a)
		if err != nil {
			return err
		}
		o.ports = append(o.ports, p)
	}
	return nil
}

// Validate the command line.
func (o *portForwardOptions) Validate() error {
	if len(o.addresses) == 0 {
		return usageErrorf("--address: at least one is needed")
	}
	for _, a := range o.addresses {
		if a != "localhost" && net.ParseIP(a) == nil {
			return usageErrorf("--address: %q is neither an IP address nor localhost", a)
		}
	}
	return o.validate()
}

// Run listens and carries until it is interrupted.
func (o *portForwardOptions) Run(ctx context.Context) error {
	s, live, err := o.findParts(ctx, o.factory, o.IOStreams)
	if err != nil {
		return err
	}
	if err := live.refusePaused(s.namespace); err != nil {
		return err
	}
	targets, err := pick(live.parts, []string{o.target})
	if err != nil {
		return err
	}
	if err := s.mayChange(ctx, meshcheck.CommandPortForward, targets); err != nil {
		return err
	}
	served := servedPorts(targets)
	if len(o.ports) == 0 {
		if o.ports = served; len(served) == 0 {
			return usageErrorf("the command line of %s has no ports: name those to forward", o.target)
		}
	}
	ports, err := o.listen()
	if err != nil {
		return err
	}
	return explain(s.forwarder().Forward(ctx, ports, s.readyPod(live.name, targets), func(line string) {
		fmt.Fprintln(o.ErrOut, rollout.PlainText(line)) // nodes and API servers have put text into it
	}))
}

// listen takes the local ports, and says which.
func (o *portForwardOptions) listen() (ports []portforward.Port, err error) {
	defer func() {
		if err != nil {
			for _, p := range ports {
				err = errors.Join(err, p.Listener.Close())
			}
			ports = nil
		}
	}()
	for _, spec := range o.ports {
		local := spec.local
		for _, address := range o.addresses {
			l, err := listenOn(address, local)
			if err != nil && spec.anyLocal { // taken, or one that not everybody may take
				l, err = listenOn(address, 0)
			}
			if err != nil {
				return ports, fmt.Errorf("%w; name another local port: LOCAL:%d, or :%d for any", err, spec.remote, spec.remote)
			}
			// The same one on every address, so that localhost is the same for all.
			local = l.Addr().(*net.TCPAddr).Port
			ports = append(ports, portforward.Port{Listener: l, Remote: spec.remote})
			if _, err := fmt.Fprintf(o.Out, "%s is forwarded to port %d of %s\n", l.Addr(), spec.remote, o.target); err != nil {
				return ports, err
			}
		}
	}
	return ports, nil
}

func listenOn(address string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}

// portSpec is a port to forward.
type portSpec struct {
	local, remote int
	// anyLocal: another local port does, too.
	anyLocal bool
}

// parsePortSpec reads REMOTE, LOCAL:REMOTE or :REMOTE.
func parsePortSpec(text string) (portSpec, error) {
	local, remote, both := strings.Cut(text, ":")
	if !both {
		local, remote = text, text
	}
	p := portSpec{}
	var err error
	if p.remote, err = parsePort(remote); err != nil {
		return p, usageErrorf("%q is no port to forward: %w", text, err)
	}
	if both && local == "" {
		return p, nil
	}
	if p.local, err = parsePort(local); err != nil {
		return p, usageErrorf("%q is no port to forward: %w", text, err)
	}
	return p, nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is not a number from 1 to 65535", text)
	}
	return int(port), nil
}

// servedPorts are the ports that live parts serve, each once.
func servedPorts(parts []livePart) []portSpec {
	var ports []portSpec
	for _, p := range parts {
		for _, e := range p.endpoints() {
			spec := portSpec{local: e.Port, remote: e.Port, anyLocal: true}
			if !slices.Contains(ports, spec) {
				ports = append(ports, spec)
			}
		}
	}
	return ports
}

// readyPod chooses a ready pod of some parts, the same one as long as it is ready.
func (s *session) readyPod(flowName string, parts []livePart) portforward.Choose {
	wanted := map[plan.Part]bool{}
	for _, p := range parts {
		wanted[p.part] = true
	}
	return func(ctx context.Context, current string) (string, error) {
		servers, err := verify.Servers(ctx, s.typed.CoreV1().Pods(s.namespace), flowName)
		if err != nil {
			return "", err
		}
		servers = slices.DeleteFunc(servers, func(server verify.Server) bool { return !wanted[server.Part] })
		switch {
		case len(servers) == 0:
			return "", nil
		case slices.ContainsFunc(servers, func(server verify.Server) bool { return server.Pod == current }):
			return current, nil
		default:
			return servers[0].Pod, nil
		}
	}
}

// forwarder carries connections to the pods of the session's namespace.
func (s *session) forwarder() *portforward.Dialer {
	return portforward.NewDialer(s.config, s.typed, s.namespace)
}
