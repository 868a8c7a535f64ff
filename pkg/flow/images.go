package flow

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Image says what runs in place of a uses of the file: a cluster runs images alone, and neither is Jina's Hub ever asked nor
// an image built.
type Image struct {
	// Key is the name of an executor, gateway, NAME/uses-before or NAME/uses-after for what stands beside the head of one,
	// or the exact text of a uses, uses_before or uses_after.
	Key string
	// Image as a container runtime takes it.
	Image string
	// Position of the setting: a line of a file, or the flag.
	Position Position
}

// imageName is the grammar of a container image: host and port, path, tag, digest.
// https://pkg.go.dev/github.com/distribution/reference
var imageName = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?` +
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*` +
	`(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`)

// ParseImage reads KEY=IMAGE. An image has no = in it, so that the last one separates.
func ParseImage(text string, pos Position) (Image, error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return Image{}, fmt.Errorf("%q is not of the form KEY=IMAGE", shorten(text))
	}
	i := Image{
		Key:      strings.TrimSpace(text[:at]),
		Image:    strings.TrimPrefix(strings.TrimSpace(text[at+1:]), "docker://"),
		Position: pos,
	}
	switch {
	case i.Key == "":
		return Image{}, fmt.Errorf("%q has no KEY: write the name of an executor, or the text of its uses, before the =", shorten(text))
	case i.Image == "":
		return Image{}, fmt.Errorf("%q has no IMAGE after the =", shorten(text))
	case !imageName.MatchString(i.Image):
		return Image{}, fmt.Errorf("%q is not the name of an image, like registry.example/encoder:1.0", shorten(i.Image))
	}
	return i, nil
}

// ParseImages reads a file of images: KEY=IMAGE a line, empty lines and those that begin with # left out.
func ParseImages(file string, data []byte) ([]Image, Problems) {
	r := newReporter()
	if len(data) > MaxSize || !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		r.errorf(Position{File: file}, IDUnreadable, "write KEY=IMAGE a line", "this is not a file of images: it is not text, or larger than %d bytes", MaxSize)
		return nil, r.problems
	}
	var images []Image
	first := map[string]Position{}
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		pos := Position{File: file, Line: number, Column: 1 + utf8.RuneCountInString(line[:strings.Index(line, text)])}
		i, err := ParseImage(text, pos)
		if err != nil {
			r.errorf(pos, IDImageKey, "", "%v", err)
			continue
		}
		if other, twice := first[i.Key]; twice {
			r.errorf(pos, IDImageKey, "keep one of them", "%s has an image already, at %s", shorten(i.Key), other)
			continue
		}
		first[i.Key] = pos
		images = append(images, i)
	}
	return images, r.problems
}

// imageMap gives executors their images.
type imageMap struct {
	images []Image
	byKey  map[string]Image
	used   map[string]bool
	// keys are those that the file has.
	keys []string
}

// newImageMap takes the later of two settings of a key.
func newImageMap(images []Image) *imageMap {
	m := &imageMap{images: images, byKey: map[string]Image{}, used: map[string]bool{}}
	for _, i := range images {
		m.byKey[i.Key] = i
	}
	return m
}

// find returns the image of the first key that has one.
func (m *imageMap) find(keys ...string) (Image, bool) {
	m.keys = append(m.keys, keys...)
	for _, key := range keys {
		if i, ok := m.byKey[key]; ok {
			m.used[key] = true
			return i, true
		}
	}
	return Image{}, false
}

// give replaces the uses of a mapping of arguments as if the file said docker://IMAGE, by the names that the executor has,
// then by the text of its uses. The containers beside a head are called as Jina calls them: NAME/uses-before.
func (m *imageMap) give(v *Value, names ...string) *Value {
	if len(m.images) == 0 || v == nil || v.Kind != Mapping {
		return v
	}
	out := *v
	out.Entries = slices.Clone(v.Entries)
	set := func(key string, names ...string) {
		pos, at := v.Position, v.Position
		uses := v.Get(key)
		if uses == nil && key != "uses" {
			return // nothing stands beside the head
		}
		if uses != nil {
			names = append(names, uses.Text)
			at = uses.Position
		}
		i, ok := m.find(names...)
		if !ok {
			return
		}
		for j := range out.Entries {
			if out.Entries[j].Key == key {
				pos = out.Entries[j].Position
			}
		}
		out.set(Entry{Key: key, Position: pos, Value: stringValue(at, "docker://"+i.Image)})
	}
	set("uses", names...)
	set("uses_before", names[0]+"/uses-before")
	set("uses_after", names[0]+"/uses-after")
	return &out
}

// unused reports the keys that nothing in the file has.
func (m *imageMap) unused(r *reporter) {
	for _, i := range m.images {
		if m.used[i.Key] {
			continue
		}
		keys := slices.DeleteFunc(slices.Clone(m.keys), func(key string) bool { return key == "" })
		slices.Sort(keys)
		keys = slices.Compact(keys)
		fallback := "the Flow has no executor that could have an image"
		if len(keys) > 0 {
			fallback = "the keys are " + listing(keys)
		}
		r.errorf(i.Position, IDImageKey, didYouMean(i.Key, keys, fallback),
			"%q is neither the name of an executor nor the text of a uses", shorten(i.Key))
	}
}

// noImage reports a uses that no cluster can run; key is what an image can be given for.
func (r *reporter) noImage(pos Position, key, hint, format string, args ...any) {
	give := ""
	if key != "" {
		give = "give one with --image " + shellWord(key+"=IMAGE")
		if hint != "" {
			give = hint + ", or " + give
		}
	}
	before := len(r.problems)
	r.errorf(pos, IDImage, give, format, args...)
	if len(r.problems) > before {
		r.problems[before].ImageKey = key
	}
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shellWord quotes a word for a shell when it needs it.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// ImageLines are the lines of a file for --images that would give an image to everything that lacks one, IMAGE standing
// for what only the author knows.
func (ps Problems) ImageLines() []string {
	var lines []string
	for _, p := range ps {
		if line := printable(p.ImageKey) + "=IMAGE"; p.ImageKey != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// ImagesAdvice shows the file for --images when there is more than one line in it; else it is empty, and the hint of the
// only problem says enough.
func (ps Problems) ImagesAdvice() string {
	lines := ps.ImageLines()
	if len(lines) < 2 {
		return ""
	}
	return "a file for --images FILE that gives all of them an image:\n    " + strings.Join(lines, "\n    ") + "\n"
}
