// Package release knows what a release of the plugin consists of: it reads .goreleaser.yaml, which builds it, and
// the folder that goreleaser leaves, and writes krew's manifest for the archives in it. It publishes nothing.
package release

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// Platform is what an archive runs on, in Go's words, which are also krew's.
type Platform struct {
	OS   string
	Arch string
}

// String is os/arch.
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// Config is the part of .goreleaser.yaml that whoever downloads an archive depends on.
type Config struct {
	// ProjectName is the first part of an archive's name.
	ProjectName string `yaml:"project_name"`
	// Builds has exactly one element.
	Builds []Build `yaml:"builds"`
	// Archives has exactly one element.
	Archives []ArchiveRule `yaml:"archives"`
}

// Build says what is compiled, and for which platforms.
type Build struct {
	// Binary is the program's name without .exe.
	Binary string `yaml:"binary"`
	// OS and Arch are combined, every one with every other.
	OS   []string `yaml:"goos"`
	Arch []string `yaml:"goarch"`
}

// ArchiveRule says how archives are named and packed.
type ArchiveRule struct {
	// NameTemplate is a Go template of the name without its ending.
	NameTemplate string `yaml:"name_template"`
	// Formats has exactly one element, which is also the name's ending: tar.gz or zip.
	Formats []string `yaml:"formats"`
	// Overrides are formats for single operating systems.
	Overrides []struct {
		OS      string   `yaml:"goos"`
		Formats []string `yaml:"formats"`
	} `yaml:"format_overrides"`
}

// ParseConfig reads the text of .goreleaser.yaml. More than one build, rule or format is an error: krew's
// manifest has one archive a platform.
func ParseConfig(text []byte) (*Config, error) {
	var c Config
	if err := yaml.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read goreleaser's configuration: %w", err)
	}
	if len(c.Builds) != 1 || len(c.Archives) != 1 {
		return nil, fmt.Errorf("goreleaser's configuration has %d builds and %d archive rules, want one of each",
			len(c.Builds), len(c.Archives))
	}
	rule := c.Archives[0]
	if len(rule.Formats) != 1 {
		return nil, fmt.Errorf("goreleaser's configuration packs in the formats %q, want one", rule.Formats)
	}
	for _, o := range rule.Overrides {
		if len(o.Formats) != 1 {
			return nil, fmt.Errorf("goreleaser's configuration packs %s in the formats %q, want one", o.OS, o.Formats)
		}
	}
	return &c, nil
}

// Platforms are the platforms that are built, in the order of the configuration.
func (c *Config) Platforms() []Platform {
	var ps []Platform
	for _, os := range c.Builds[0].OS {
		for _, arch := range c.Builds[0].Arch {
			ps = append(ps, Platform{OS: os, Arch: arch})
		}
	}
	return ps
}

// BinaryName is the program's file name in the archive of a platform.
func (c *Config) BinaryName(p Platform) string {
	if p.OS == "windows" {
		return c.Builds[0].Binary + ".exe"
	}
	return c.Builds[0].Binary
}

// ArchiveName is the file name of a platform's archive. The version is written without its "v", as goreleaser
// does in templates. A template that needs more than project, version and platform is an error.
func (c *Config) ArchiveName(p Platform, version string) (string, error) {
	rule := c.Archives[0]
	t, err := template.New("name_template").Option("missingkey=error").Parse(rule.NameTemplate)
	if err != nil {
		return "", fmt.Errorf("archive name: %w", err)
	}
	var name bytes.Buffer
	values := map[string]string{
		"ProjectName": c.ProjectName,
		"Version":     strings.TrimPrefix(version, "v"),
		"Os":          p.OS,
		"Arch":        p.Arch,
	}
	if err := t.Execute(&name, values); err != nil {
		return "", fmt.Errorf("archive name: %w", err)
	}
	format := rule.Formats[0]
	for _, o := range rule.Overrides {
		if o.OS == p.OS {
			format = o.Formats[0]
		}
	}
	return name.String() + "." + format, nil
}
