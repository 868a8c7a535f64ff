package release

import (
	"bytes"
	"fmt"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Manifest is krew's description of a plugin
// (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/).
type Manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Version          string             `yaml:"version"`
		Homepage         string             `yaml:"homepage"`
		ShortDescription string             `yaml:"shortDescription"`
		Description      string             `yaml:"description"`
		Caveats          string             `yaml:"caveats"`
		Platforms        []ManifestPlatform `yaml:"platforms"`
	} `yaml:"spec"`
}

// ManifestPlatform is what krew installs on the machines that the selector picks.
type ManifestPlatform struct {
	Selector struct {
		MatchLabels struct {
			OS   string `yaml:"os"`
			Arch string `yaml:"arch"`
		} `yaml:"matchLabels"`
	} `yaml:"selector"`
	URI    string `yaml:"uri"`
	SHA256 string `yaml:"sha256"`
	Files  []struct {
		From string `yaml:"from"`
		To   string `yaml:"to"`
	} `yaml:"files"`
	Bin string `yaml:"bin"`
}

// Platform is the platform that the selector picks.
func (p ManifestPlatform) Platform() Platform {
	return Platform{OS: p.Selector.MatchLabels.OS, Arch: p.Selector.MatchLabels.Arch}
}

// ParseManifest reads the text of a manifest. A key that krew does not know is an error, as it is for krew's
// own validation.
func ParseManifest(text []byte) (*Manifest, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var m Manifest
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read krew's manifest: %w", err)
	}
	return &m, nil
}

// DownloadURL is where GitHub serves an archive of a release.
func DownloadURL(homepage, version, archive string) string {
	return homepage + "/releases/download/" + version + "/" + archive
}

// Stamp returns the text of the manifest with the version, addresses and checksums of what was built, and
// everything else, comments too, as it was. A platform of only one of the two is an error.
func Stamp(text []byte, d *Dist) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read krew's manifest: %w", err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return nil, err
	}
	archives := map[Platform]Archive{}
	for _, a := range d.Archives {
		archives[a.Platform] = a
	}
	if err := samePlatforms(m, d, archives); err != nil {
		return nil, err
	}
	if err := stampNodes(&doc, m, d, archives); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write krew's manifest: %w", err)
	}
	return out.Bytes(), nil
}

// samePlatforms is nil when every platform of the manifest was built, and every built one is in the manifest,
// once. A platform without its uri or sha256 is an error too: there would be nothing to set.
func samePlatforms(m *Manifest, d *Dist, archives map[Platform]Archive) error {
	selected := map[Platform]bool{}
	for _, p := range m.Spec.Platforms {
		switch _, built := archives[p.Platform()]; {
		case selected[p.Platform()]:
			return fmt.Errorf("krew's manifest selects %s twice", p.Platform())
		case !built:
			return fmt.Errorf("krew's manifest selects %s, for which nothing was built", p.Platform())
		case p.URI == "" || p.SHA256 == "":
			return fmt.Errorf("krew's manifest has no uri or sha256 for %s", p.Platform())
		}
		selected[p.Platform()] = true
	}
	for _, a := range d.Archives {
		if !selected[a.Platform] {
			return fmt.Errorf("%s was built, but krew's manifest does not select %s", filepath.Base(a.Path), a.Platform)
		}
	}
	if m.Spec.Version == "" {
		return fmt.Errorf("krew's manifest has no version")
	}
	return nil
}

// stampNodes sets the values in the manifest's text tree.
func stampNodes(doc *yaml.Node, m *Manifest, d *Dist, archives map[Platform]Archive) error {
	spec, err := member(doc.Content[0], "spec")
	if err != nil {
		return err
	}
	if err := set(spec, "version", d.Version); err != nil {
		return err
	}
	platforms, err := member(spec, "platforms")
	if err != nil {
		return err
	}
	for i, node := range platforms.Content {
		a := archives[m.Spec.Platforms[i].Platform()]
		if err := set(node, "uri", DownloadURL(m.Spec.Homepage, d.Version, filepath.Base(a.Path))); err != nil {
			return err
		}
		if err := set(node, "sha256", a.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// member is the value of a key. A key that stands elsewhere, behind an anchor or a merge, is an error.
func member(mapping *yaml.Node, key string) (*yaml.Node, error) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1], nil
		}
	}
	return nil, fmt.Errorf("krew's manifest, line %d: %s is not written out here", mapping.Line, key)
}

// set gives a key a string. Its style stays, but the encoder quotes what would read as a number.
func set(mapping *yaml.Node, key, value string) error {
	scalar, err := member(mapping, key)
	if err != nil {
		return err
	}
	scalar.Tag, scalar.Value = "!!str", value
	return nil
}
