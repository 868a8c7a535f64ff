package flow

// deploymentFile reads a file of jtype Deployment that is deployed alone.
func (p *parser) deploymentFile(root *Value) {
	for i := range root.Entries {
		if e := root.Entries[i]; e.Key == "executors" || e.Key == "deployments" {
			p.errorf(e.Position, IDMisplacedKey, "write 'jtype: Flow'", "a Deployment is one executor and has no %s", e.Key)
			if root.Get("with") == nil {
				p.flowFile(root) // for what else there is to say
				return
			}
		}
	}
	e := p.deployment(root, false)
	if e == nil {
		return
	}
	if e.Args.Has("name") {
		p.flow.Name = e.Name
	}
	p.flow.Executors = []*Executor{e}
	p.flow.last = e.Node
	for _, key := range []string{"when", "grpc_metadata"} {
		if s, ok := e.Args.Lookup(key); ok {
			p.warnf(s.Key, IDNoEffect, "take it away, or put the executor into a Flow", "a Deployment stands alone: %s is for the gateway of a Flow", key)
		}
	}
}

// deployment reads the only executor of a Deployment. One that is included by a Flow has its place there; names are what
// else an image can be given for.
func (p *parser) deployment(root *Value, included bool, names ...string) *Executor {
	with, ok := p.deploymentKeys(root, included)
	if !ok {
		return nil
	}
	name := "executor"
	if v := with.Get("name"); v != nil && v.Kind == String {
		name = v.Text
	}
	with = p.images.give(with, append([]string{name}, names...)...)
	e := &Executor{Position: with.Position, NamePosition: with.Position}
	for _, key := range []string{"needs", "method"} {
		if v := with.Get(key); v != nil {
			p.warnf(positionOf(with, key), IDNoEffect, "take it away", "%s has no effect in a Deployment", key)
		}
	}
	p.executorArguments(e, with, nil)
	if e.Name = e.Args.Text("name", Kept); e.Name == "" {
		e.Name = "executor"
	}
	e.Node = e.Name
	e.NamePosition = e.Args.Position("name", with.Position)
	p.executorRules(e)
	p.reservedPort(e.Args, with)
	if e.Name == GatewayName {
		p.errorf(e.NamePosition, IDReservedName, "choose another name", "a Deployment cannot be called gateway")
	}
	return e
}

// deploymentKeys finds the arguments of a Deployment and reports the keys that Jina does not read.
func (p *parser) deploymentKeys(root *Value, included bool) (with *Value, ok bool) {
	for i := range root.Entries {
		e := root.Entries[i]
		switch {
		case e.Key == "jtype":
		case e.Key == "with":
			if with = e.Value; with.Kind != Mapping {
				p.errorf(with.Position, IDType, "", "with takes a mapping of arguments, not %s", with.describe())
				return nil, false
			}
		case e.Key == "executors", e.Key == "deployments":
			if included {
				p.errorf(e.Position, IDMisplacedKey, "list its executors in the Flow", "a Deployment is one executor and has no %s", e.Key)
			}
		case e.Key == "version":
			p.errorf(e.Position, IDVersion, "take it away", "a Deployment has no version")
		case e.Key == "needs" && included:
			p.warnf(e.Position, IDNoEffect, "take it away, and put the file below what it needs", "needs has no effect: the executor of a file follows the one above it")
		case e.Key == "needs", e.Key == "gateway":
			p.warnf(e.Position, IDNoEffect, "take it away", "a Deployment stands alone: %s has no effect", e.Key)
		case p.known(e.Key, OnExecutor):
			p.errorf(e.Position, IDMisplacedKey, "move it under with", "%s is an argument, which stands under with", e.Key)
		default:
			p.topLevelKey(e, []string{"jtype", "with"})
		}
	}
	if with == nil {
		p.errorf(root.Position, IDImage, "write with: and under it uses: docker://IMAGE", "the Deployment has no with and so no image")
		return nil, false
	}
	return with, true
}
