package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-jina/kubectl-jina/pkg/flow"
)

// executorCheck collects the problems of executors that only a cluster has.
type executorCheck struct {
	flow     *flow.Flow
	options  Options
	problems flow.Problems
}

// checkExecutors refuses what the reference exports and no cluster can run; with Compat only what cannot be written at
// all.
func checkExecutors(f *flow.Flow, o Options) flow.Problems {
	c := &executorCheck{flow: f, options: o}
	c.storage()
	for _, e := range f.Executors {
		if e.External {
			c.external(e)
			continue
		}
		c.statefulSetName(e)
		if !o.Compat {
			c.tls(e)
			c.stateful(e.Args, "executor "+e.Name)
			c.volumes(e)
			c.gpus(e)
			c.calledByHTTP(e)
		}
	}
	if f.Gateway != nil && !o.Compat {
		c.stateful(f.Gateway.Args, "the gateway")
		c.certificate(f.Gateway)
	}
	return c.problems
}

func (c *executorCheck) report(severity flow.Severity, pos flow.Position, id, hint, format string, args ...any) {
	c.problems = append(c.problems, flow.Problem{
		Position: pos, Severity: severity, ID: id, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (c *executorCheck) refuse(pos flow.Position, id, hint, format string, args ...any) {
	c.report(flow.Error, pos, id, hint, format, args...)
}

// storage checks the environment's words about volumes where the first executor needs them.
func (c *executorCheck) storage() {
	i := slices.IndexFunc(c.flow.Executors, func(e *flow.Executor) bool { return len(e.Volumes) > 0 })
	if i < 0 {
		return
	}
	pos, s := c.flow.Executors[i].Volumes[0].Position, c.options.Storage
	modes, err := s.accessModes()
	known := []string{"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"}
	if err != nil || len(modes) == 0 || slices.ContainsFunc(modes, func(m string) bool { return !slices.Contains(known, m) }) {
		c.refuse(pos, flow.IDStorage, `write JINA_K8S_ACCESS_MODES='["ReadWriteOnce"]'`,
			"JINA_K8S_ACCESS_MODES is %.60q, not a JSON list of %s", s.AccessModes, strings.Join(known, ", "))
	}
	if reasons := validation.IsDNS1123Subdomain(s.class()); len(reasons) > 0 {
		c.refuse(pos, flow.IDStorage, "`kubectl get storageclass` lists the names", "JINA_K8S_STORAGE_CLASS_NAME is %.60q, which is no name: %s", s.Class, inShort(reasons))
	}
	if quantity, err := resource.ParseQuantity(s.capacity()); err != nil || quantity.Sign() <= 0 {
		c.refuse(pos, flow.IDStorage, "write a number of bytes like 10Gi", "JINA_K8S_STORAGE_CAPACITY is %.60q, which is no size", s.Capacity)
	}
}

// external refuses an address that the gateway cannot call. The reference invents a port, another one at each export, and
// calls the gateway's own pod when there is no host.
func (c *executorCheck) external(e *flow.Executor) {
	if c.flow.Kind == flow.KindDeployment && !c.options.Compat {
		c.refuse(e.Args.Position("external", e.Position), flow.IDUnsupported, "take external away, or name it in the Flow that calls it",
			"the Deployment is external: there is nothing to deploy")
		return
	}
	if !c.options.Compat && !e.Args.Written("host") {
		c.refuse(e.Position, flow.IDAddress, "write host: NAME", "executor %s is external and has no host", e.Name)
		return
	}
	for _, h := range e.Hosts {
		switch n, err := strconv.Atoi(h.Port); {
		case h.Port == "" && (!h.IsURL() || !c.options.Compat):
			c.refuse(h.Position, flow.IDAddress, "write host: "+h.Name+":PORT", "executor %s is external and has no port", e.Name)
			return
		case c.options.Compat:
		case err != nil || n < 1 || n > 65535:
			c.refuse(h.Position, flow.IDAddress, "write a number from 1 to 65535", "executor %s is external: %.60q is no port", e.Name, h.Port)
		case h.Name == "" || strings.ContainsAny(h.Name, "/@?# \t"):
			c.refuse(h.Position, flow.IDAddress, "write NAME:PORT, with grpc:// or grpcs:// in front if you like", "executor %s is external: %.60q is no host name", e.Name, h.Name)
		case slices.Contains([]string{"localhost", "127.0.0.1", "0.0.0.0"}, h.Name):
			c.report(flow.Warning, h.Position, flow.IDAddress, "write a name that the cluster's DNS knows", "executor %s is external: on a cluster %s is the gateway's own pod", e.Name, h.Name)
		case !slices.Contains([]string{"", "grpc", "grpcs"}, h.Scheme):
			c.report(flow.Warning, h.Position, flow.IDAddress, "write grpc:// or grpcs://", "executor %s: the gateway calls executors by gRPC, whatever %s:// says", e.Name, h.Scheme)
		}
	}
}

// tls refuses TLS of an executor's own port: the program in its container has no argument for a certificate, so it speaks
// plaintext, and the reference's gateway goes on unencrypted after a failed handshake (semantics D2).
func (c *executorCheck) tls(e *flow.Executor) {
	const hint = "take it away: a service mesh encrypts what goes between pods"
	ask := func(name string) (flow.Setting, bool) {
		s, ok := e.Args.Lookup(name)
		return s, ok && !s.Inherited
	}
	if s, ok := e.Args.Lookup("tls"); ok {
		c.refuse(s.Key, flow.IDUnsupported, hint, "tls: executor %s cannot speak TLS: in a container Jina's executors take no certificate", e.Name)
		return
	}
	for _, name := range []string{"ssl_certfile", "ssl_keyfile"} {
		if s, ok := ask(name); ok {
			c.refuse(s.Key, flow.IDUnsupported, hint, "%s: executor %s cannot speak TLS: in a container Jina's executors take no certificate", name, e.Name)
			return
		}
	}
	for _, h := range e.Hosts {
		if h.TLS() {
			c.refuse(h.Position, flow.IDUnsupported, "write external: true when it runs elsewhere", "executor %s cannot speak TLS, which its host asks for with %s://", e.Name, h.Scheme)
			return
		}
	}
	if s, ok := e.Args.Lookup("ssl_certfile"); ok && e.AsksTLS() && !c.warnedAt(s.Key) {
		c.report(flow.Warning, s.Key, flow.IDNoEffect, "a service mesh encrypts what goes between pods; to say what is meant, write it under gateway",
			"the certificate is for the gateway alone: executors take none, what goes to them is not encrypted")
	}
}

func (c *executorCheck) warnedAt(pos flow.Position) bool {
	return slices.ContainsFunc(c.problems, func(p flow.Problem) bool { return p.Position == pos })
}

// certificate checks what the gateway would find out when it starts.
func (c *executorCheck) certificate(g *flow.Gateway) {
	cert, hasCert := g.Args.Lookup("ssl_certfile")
	key, hasKey := g.Args.Lookup("ssl_keyfile")
	switch {
	case hasCert != hasKey && slices.Contains(g.Args.Texts("protocol", flow.Coerced), "GRPC"):
		one, other := cert, "ssl_keyfile"
		if hasKey {
			one, other = key, "ssl_certfile"
		}
		if !g.Args.Written(other) {
			c.refuse(one.Key, flow.IDUnsupported, "write "+other+" too", "%s without %s: the gateway would not start", one.Argument.Name, other)
		}
	case hasCert && g.Uses.Image == "" && c.options.GatewayImage == "":
		c.report(flow.Warning, cert.Position, flow.IDValue, "use an image that has it, in gateway.uses or JINA_GATEWAY_IMAGE, or end TLS before the gateway",
			"%.60q is a file in the gateway's container, and Jina's own image has no such file", cert.Texts(flow.Kept)[0])
	}
}

// stateful refuses a consensus: whoever starts the replicas has to make them peers by calling the first, which nothing on
// a cluster does, and all replicas have one id and one address (semantics D24).
func (c *executorCheck) stateful(args flow.Args, who string) {
	if s, ok := args.Lookup("stateful"); ok && !c.warnedAt(s.Key) {
		c.refuse(s.Key, flow.IDUnsupported, "take stateful away; with volumes each replica keeps its data",
			"stateful: the replicas of %s cannot find each other on a cluster: Jina's export gives all of them one id, and nothing makes them peers", who)
	}
}

// maxStatefulSetName leaves room in a label of its pods: NAME-HASH (https://github.com/kubernetes/kubernetes/issues/64023).
const maxStatefulSetName = validation.LabelValueMaxLength - 11

func (c *executorCheck) statefulSetName(e *flow.Executor) {
	longest := DNSName(e.Name)
	if e.Shards() > 1 {
		longest += "-" + strconv.Itoa(e.Shards()-1)
	}
	if len(e.Volumes) > 0 && len(longest) > maxStatefulSetName {
		c.refuse(e.NamePosition, flow.IDName, "choose a shorter name", "executor %s has volumes, with which %s is too long by %d", e.Name, longest, len(longest)-maxStatefulSetName)
	}
}

// volumes refuses folders that no container can have.
func (c *executorCheck) volumes(e *flow.Executor) {
	mounted := map[string]bool{}
	for _, v := range e.Volumes {
		clean := path.Clean(v.MountPath)
		switch {
		case strings.HasPrefix(clean, "$"):
			c.refuse(v.Position, flow.IDValue, "export it before, or write the folder in the container", "volume of executor %s: %.60q names a variable that is not set", e.Name, v.MountPath)
		case !strings.HasPrefix(clean, "/"):
			c.refuse(v.Position, flow.IDValue, "write the folder in the container with all its parents: /"+strings.TrimLeft(clean, "~./$"),
				"volume of executor %s: %.60q is no absolute path", e.Name, v.MountPath)
		case strings.ContainsAny(clean, ",\r\n"):
			c.refuse(v.Position, flow.IDValue, "write a list: [/a, /b]", "volume of executor %s: %.60q is one folder to Jina", e.Name, v.MountPath)
		case clean == "/":
			c.refuse(v.Position, flow.IDValue, "write a folder", "volume of executor %s: it would hide everything in the container", e.Name)
		case mounted[clean]:
			c.refuse(v.Position, flow.IDValue, "take one away", "volume of executor %s: %s is mounted twice", e.Name, clean)
		}
		mounted[clean] = true
	}
}

// gpus refuses what is no number of GPUs (semantics D19).
func (c *executorCheck) gpus(e *flow.Executor) {
	s, ok := e.Args.Lookup("gpus")
	if !ok {
		return
	}
	text := s.Texts(flow.Coerced)[0]
	if n, err := strconv.ParseInt(text, 10, 32); text != "all" && (err != nil || n < 0) {
		c.refuse(s.Position, flow.IDValue, "write how many GPUs a replica needs", "Kubernetes counts GPUs: %.60q of executor %s is no number", text, e.Name)
	}
}

// calledByHTTP warns about an executor that the gateway cannot reach.
func (c *executorCheck) calledByHTTP(e *flow.Executor) {
	s, ok := e.Args.Lookup("protocol")
	if ok && c.flow.Gateway != nil && c.flow.Gateway.Uses.Image == "" && !slices.Contains(s.Texts(flow.Coerced), "GRPC") {
		c.report(flow.Warning, s.Position, flow.IDUnsupported, "take it away, or write a Deployment of it",
			"executor %s speaks HTTP alone, and Jina's gateway calls executors by gRPC", e.Name)
	}
}
