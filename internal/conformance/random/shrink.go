package random

import "slices"

// Shrink makes a Flow smaller for as long as it keeps what makes it interesting. Every step takes something away, so it
// ends.
func Shrink(f *Flow, interesting func(*Flow) bool) *Flow {
	for {
		smaller := step(f, interesting)
		if smaller == nil {
			return f
		}
		f = smaller
	}
}

// step is the first smaller Flow that is interesting, or nil.
func step(f *Flow, interesting func(*Flow) bool) *Flow {
	for i := range f.env {
		c := f.clone()
		c.env = slices.Delete(c.env, i, i+1)
		if interesting(c) {
			return c
		}
	}
	if len(f.args) > 0 {
		c := f.clone()
		c.args = nil
		if interesting(c) {
			return c
		}
	}
	for n := 0; ; n++ {
		c := f.clone()
		if change := nth(append([]*node{c.document}, c.included...), n); change == nil {
			return nil
		} else if change(); interesting(c) {
			return c
		}
	}
}

// nth is the nth change that makes one of some values smaller, the largest first; nil when there are fewer.
func nth(level []*node, n int) func() {
	var found func()
	offer := func(change func()) bool {
		if n--; n < 0 && found == nil {
			found = change
		}
		return found != nil
	}
	for len(level) > 0 && found == nil {
		var next []*node
		for _, v := range level {
			for i := range v.pairs {
				if offer(func() { v.pairs = slices.Delete(v.pairs, i, i+1) }) {
					return found
				}
				next = append(next, v.pairs[i].value)
			}
			for i := range v.items {
				if offer(func() { v.items = slices.Delete(v.items, i, i+1) }) {
					return found
				}
				next = append(next, v.items[i])
			}
			if len(v.block) > 1 && offer(func() { v.block = v.block[:len(v.block)-1] }) {
				return found
			}
			if v.inline && offer(func() { v.inline = false }) {
				return found
			}
		}
		level = next
	}
	return found
}
