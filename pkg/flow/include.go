package flow

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// includedExecutor reads an entry of executors that is a text: the file of a Deployment.
func (p *parser) includedExecutor(v *Value, inherited []Entry) {
	node := p.unnamed()
	p.count++
	e := p.include(v, node)
	if e == nil {
		p.refuse(node)
		return
	}
	e.Node, e.File, e.place = node, v.Text, v.Position
	if other := p.objects[e.Name]; other != nil {
		hint := "write another name under with in one of the files"
		if other.File == v.Text {
			hint = "copy the file and write another name under with, or write replicas: 2 in it"
		}
		p.errorf(v.Position, IDDuplicateName, hint, "the objects of %s would be called %s (%s), as those of the executor at %s",
			v.describe(), e.Name, e.NamePosition, other.position())
		p.refuse(node)
		return
	}
	if s, ok := e.Args.Lookup("extra_search_paths"); ok {
		e.SearchPaths = s.Texts(Coerced)
	}
	for _, entry := range inherited {
		if a, ok := p.lookup(entry.Key, OnExecutor); ok && a.Name == "extra_search_paths" {
			var flows Args
			p.read(&flows, a, entry)
			e.SearchPaths = append(e.SearchPaths, flows.Texts(a.Name, Coerced)...)
		}
	}
	folder, _ := path.Split(v.Text)
	e.SearchPaths = append(e.SearchPaths, strings.TrimRight(folder, "/"))
	p.connect(e, nil, nil)
}

// include reads the file of a Deployment.
func (p *parser) include(v *Value, node string) *Executor {
	root := p.includedFile(v)
	if root == nil {
		return nil
	}
	p.nestedKinds(root)
	switch kind := root.Get("jtype"); {
	case kind == nil:
		p.errorf(root.Position, IDKind, "write 'jtype: Deployment' first", "the file of an executor does not say what it is: jtype is missing")
	case kind.Text != string(KindDeployment):
		hint := didYouMean(kind.Text, []string{string(KindDeployment)}, "write jtype: Deployment, and the arguments under with")
		p.errorf(kind.Position, IDKind, hint, "the file of an executor is a Deployment, this is %s", kind.describe())
	default:
		return p.deployment(root, true, node)
	}
	return nil
}

// includedFile reads the values of a file; it reports why there are none.
func (p *parser) includedFile(v *Value) *Value {
	switch ext := path.Ext(v.Text); {
	case strings.Contains(v.Text, "://"):
		p.errorf(v.Position, IDIncludedFile, "download it and write the name of the file", "executor %s is on the network, which is not asked", v.describe())
		return nil
	case ext != ".yml" && ext != ".yaml":
		p.errorf(v.Position, IDIncludedFile, "write '- name: encoder' and its arguments below, or the file of a Deployment (.yml)",
			"an executor is a mapping of arguments or a file, not the text %s", v.describe())
		return nil
	case p.source.ReadFile == nil:
		p.errorf(v.Position, IDIncludedFile, "write the arguments of that file's with here", "executor %s is a file of its own, and there is no folder to look for it", v.describe())
		return nil
	}
	file, err := p.source.ReadFile(v.Text)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.errorf(v.Position, IDIncludedFile, "it is looked for beside the Flow file, then in the working folder", "the file %s of an executor does not exist%s", v.describe(), inParentheses(file.Other))
		return nil
	case err != nil:
		p.errorf(v.Position, IDIncludedFile, "", "the file %s of an executor cannot be read: %v", v.describe(), err)
		return nil
	}
	if file.Other != "" {
		p.warnf(v.Position, IDIncludedFile, "rename one of the two", "there are two files %s: %s is taken, %s is not", v.describe(), file.Name, file.Other)
	}
	if p.included += len(file.Data); p.included > MaxSize {
		p.errorf(v.Position, IDUnreadable, "", "the files of the executors together have more than %d bytes", MaxSize)
		return nil
	}
	src := Source{Name: file.Name, Data: file.Data, Env: p.source.Env, Context: p.source.Context, KeepContext: p.source.KeepContext}
	root := p.values(src)
	if root != nil && root.Kind != Mapping {
		p.errorf(root.Position, IDKind, "start with 'jtype: Deployment'", "the file of an executor is a mapping, this is %s", root.Kind)
		return nil
	}
	return root
}

func inParentheses(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
