package flow

import (
	"slices"
	"strings"
)

// Volume is an entry of volumes.
type Volume struct {
	Position Position
	// Text as Jina reads it.
	Text string
	// HostPath is a folder of the machine that runs the Flow, where the entry names one; a cluster has no such folder.
	HostPath string
	// MountPath is the folder in the container.
	MountPath string
}

// volumes takes the entries apart as docker does: HOST:CONTAINER, or a folder alone.
func (p *parser) volumes(e *Executor) {
	s, ok := e.Args.Lookup("volumes")
	if !ok {
		return
	}
	for i, text := range s.Texts(Coerced) {
		v := Volume{Position: s.values[i].Position, Text: text, MountPath: strings.TrimSpace(text)}
		parts := strings.Split(v.MountPath, ":")
		if last := parts[len(parts)-1]; len(parts) > 2 && isMountOption(last) {
			p.warnf(v.Position, IDNoEffect, "take it away", "%q has no effect: a volume of executor %s is always written and read", ":"+last, e.Name)
			parts = parts[:len(parts)-1]
		}
		if n := len(parts); n > 1 {
			v.HostPath, v.MountPath = strings.Join(parts[:n-1], ":"), parts[n-1]
			p.warnf(v.Position, IDNoEffect, "write the folder in the container alone, and fill the volume on the cluster",
				"%q is a folder of one machine: on a cluster each replica gets storage of its own, empty at first, at %s", shorten(v.HostPath), shorten(v.MountPath))
		}
		e.Volumes = append(e.Volumes, v)
	}
}

// isMountOption tells a mode of docker's from a folder.
func isMountOption(text string) bool {
	known := []string{"ro", "rw", "z", "Z", "cached", "delegated", "consistent"}
	for word := range strings.SplitSeq(text, ",") {
		if !slices.Contains(known, word) {
			return false
		}
	}
	return true
}
