package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readFile reads a file of the repository's top level.
func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func repositoryConfig(t *testing.T) *Config {
	t.Helper()
	c, err := ParseConfig(readFile(t, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func repositoryManifest(t *testing.T) *Manifest {
	t.Helper()
	m, err := ParseManifest(readFile(t, "krew.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReleaseIsBuiltForSixPlatforms(t *testing.T) {
	got := strings.Join(names(repositoryConfig(t).Platforms()), " ")
	want := "linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64"
	if got != want {
		t.Errorf("platforms = %s, want %s", got, want)
	}
}

func TestKrewManifestSelectsEveryPlatformOnce(t *testing.T) {
	selected := map[Platform]int{}
	for _, p := range repositoryManifest(t).Spec.Platforms {
		selected[p.Platform()]++
	}
	platforms := repositoryConfig(t).Platforms()
	for _, p := range platforms {
		if selected[p] != 1 {
			t.Errorf("krew.yaml selects %s %d times, want once", p, selected[p])
		}
	}
	if len(selected) != len(platforms) {
		t.Errorf("krew.yaml selects %d platforms, %d are built", len(selected), len(platforms))
	}
}

func TestKrewManifestNamesWhatARegularReleaseBuilds(t *testing.T) {
	c, m := repositoryConfig(t), repositoryManifest(t)
	for _, p := range m.Spec.Platforms {
		archive, err := c.ArchiveName(p.Platform(), m.Spec.Version)
		if err != nil {
			t.Fatal(err)
		}
		if want := DownloadURL(m.Spec.Homepage, m.Spec.Version, archive); p.URI != want {
			t.Errorf("%s: uri = %s\nwant %s", p.Platform(), p.URI, want)
		}
		if want := c.BinaryName(p.Platform()); p.Bin != want {
			t.Errorf("%s: bin = %s, want %s", p.Platform(), p.Bin, want)
		}
		var files []string
		for _, f := range p.Files {
			files = append(files, f.From+"→"+f.To)
		}
		if got, want := strings.Join(files, " "), p.Bin+"→. LICENSE→."; got != want {
			t.Errorf("%s: files = %s, want %s", p.Platform(), got, want)
		}
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(p.SHA256) {
			t.Errorf("%s: sha256 = %q, want 64 hexadecimal digits", p.Platform(), p.SHA256)
		}
	}
}

// What krew's index asks of a plugin: https://krew.sigs.k8s.io/docs/developer-guide/develop/best-practices/
// and https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/.
func TestKrewManifestFollowsKrewsRules(t *testing.T) {
	m := repositoryManifest(t)
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" {
		t.Errorf("apiVersion, kind = %s, %s", m.APIVersion, m.Kind)
	}
	if m.Metadata.Name != "jina" {
		t.Errorf("name = %s: krew installs kubectl-NAME, and users type kubectl jina", m.Metadata.Name)
	}
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(m.Spec.Version) {
		t.Errorf("version = %s, want a semantic version with its v", m.Spec.Version)
	}
	if !strings.HasPrefix(m.Spec.Homepage, "https://") {
		t.Errorf("homepage = %s", m.Spec.Homepage)
	}
	if s := m.Spec.ShortDescription; s == "" || len(s) > 50 || strings.HasSuffix(s, ".") {
		t.Errorf("shortDescription = %q (%d characters), want at most 50 and no full stop", s, len(s))
	}
	if m.Spec.Description == "" {
		t.Error("no description")
	}
	if !strings.Contains(m.Spec.Caveats, "Linkerd") {
		t.Error("the caveats do not name Linkerd, which balanced replicas need")
	}
}

func TestConfigIsRefusedWhenOneArchiveAPlatformIsNotClear(t *testing.T) {
	const build, rule = "builds: [{binary: b}]\n", "archives: [{formats: [zip]}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"not YAML", "builds: [", "read goreleaser's configuration"},
		{"two builds", "builds: [{binary: a}, {binary: b}]\n" + rule, "2 builds and 1 archive rules"},
		{"no rule", build, "1 builds and 0 archive rules"},
		{"two formats", build + "archives: [{formats: [zip, tar.gz]}]", "want one"},
		{"an override without format", build + "archives: [{formats: [zip], format_overrides: [{goos: linux}]}]", "packs linux"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestArchiveNameRefusesWhatItCannotFill(t *testing.T) {
	c, err := ParseConfig([]byte("builds: [{binary: b}]\narchives: [{name_template: '{{ .Branch }}', formats: [zip]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if name, err := c.ArchiveName(Platform{OS: "linux", Arch: "amd64"}, "v1.0.0"); err == nil {
		t.Errorf("name = %q, want an error: .Branch is not known here", name)
	}
}

func names(ps []Platform) []string {
	var s []string
	for _, p := range ps {
		s = append(s, p.String())
	}
	return s
}
