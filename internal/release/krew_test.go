package release

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// madeUpDist is what ReadDist would say of a run that built these platforms.
func madeUpDist(t *testing.T, version string, platforms []Platform) *Dist {
	t.Helper()
	c := repositoryConfig(t)
	d := &Dist{Version: version}
	for i, p := range platforms {
		name, err := c.ArchiveName(p, version)
		if err != nil {
			t.Fatal(err)
		}
		sum := strings.Repeat("0123456789abcdef"[i:i+1], 64)
		d.Archives = append(d.Archives, Archive{Platform: p, Path: filepath.Join("dist", name), SHA256: sum})
	}
	return d
}

func TestStampChangesNothingButVersionAddressAndChecksum(t *testing.T) {
	text := readFile(t, "krew.yaml")
	d := madeUpDist(t, "v9.8.7", repositoryConfig(t).Platforms())
	stamped, err := Stamp(text, d)
	if err != nil {
		t.Fatal(err)
	}
	assertOnlyStamped(t, text, stamped)
	m, err := ParseManifest(stamped)
	if err != nil {
		t.Fatal(err)
	}
	assertStampedWith(t, m, d)
}

// A checksum of digits alone must stay a string: krew would refuse a number.
func TestStampedChecksumIsAString(t *testing.T) {
	d := madeUpDist(t, "v9.8.7", repositoryConfig(t).Platforms())
	for i := range d.Archives {
		d.Archives[i].SHA256 = strings.Repeat("1", 64)
	}
	unquoted := regexp.MustCompile(`sha256: .*`).ReplaceAll(readFile(t, "krew.yaml"), []byte("sha256: abc"))
	stamped, err := Stamp(unquoted, d)
	if err != nil {
		t.Fatal(err)
	}
	if want := `sha256: "1111`; strings.Count(string(stamped), want) != len(d.Archives) {
		t.Errorf("want %d times %s in\n%s", len(d.Archives), want, stamped)
	}
}

func TestStampRefusesAManifestOfOtherPlatforms(t *testing.T) {
	platforms := repositoryConfig(t).Platforms()
	text := string(readFile(t, "krew.yaml"))
	for _, tt := range []struct {
		name, text string
		built      []Platform
		want       string
	}{
		{"one was not built", text, platforms[1:], "selects linux/amd64, for which nothing was built"},
		{"one is not selected", text, append(platforms[:6:6], Platform{OS: "freebsd", Arch: "amd64"}), "does not select freebsd/amd64"},
		{"one is selected twice", strings.Replace(text, "arch: arm64", "arch: amd64", 1), platforms, "selects linux/amd64 twice"},
		{"no checksum to set", strings.Replace(text, "sha256:", "bin:", 1), platforms, "read krew's manifest"},
		{"an unknown key", strings.Replace(text, "homepage:", "homePage:", 1), platforms, "homePage"},
		{"no version", strings.Replace(text, "version: v0.1.0", `version: ""`, 1), platforms, "no version"},
		{"not YAML", "spec: [", platforms, "read krew's manifest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Stamp([]byte(tt.text), madeUpDist(t, "v9.8.7", tt.built))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// assertOnlyStamped compares two manifests line by line: what differs is a version, a uri or a sha256.
func assertOnlyStamped(t *testing.T, before, after []byte) {
	t.Helper()
	was, is := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	if len(was) != len(is) {
		t.Fatalf("%d lines became %d", len(was), len(is))
	}
	stamped := regexp.MustCompile(`^( {2}version| {6}uri| {6}sha256): `)
	for i := range was {
		if was[i] != is[i] && (!stamped.MatchString(was[i]) || stamped.FindString(was[i]) != stamped.FindString(is[i])) {
			t.Errorf("line %d: %q became %q", i+1, was[i], is[i])
		}
	}
}

// assertStampedWith holds a manifest against what was built: one selector an archive, its address, its checksum.
func assertStampedWith(t *testing.T, m *Manifest, d *Dist) {
	t.Helper()
	if m.Spec.Version != d.Version {
		t.Errorf("version = %s, want %s", m.Spec.Version, d.Version)
	}
	selectors := map[Platform][]ManifestPlatform{}
	for _, p := range m.Spec.Platforms {
		selectors[p.Platform()] = append(selectors[p.Platform()], p)
	}
	if len(selectors) != len(d.Archives) {
		t.Errorf("%d platforms selected, %d archives", len(selectors), len(d.Archives))
	}
	for _, a := range d.Archives {
		if len(selectors[a.Platform]) != 1 {
			t.Errorf("%s is selected %d times, want once", a.Platform, len(selectors[a.Platform]))
			continue
		}
		p := selectors[a.Platform][0]
		if want := DownloadURL(m.Spec.Homepage, d.Version, filepath.Base(a.Path)); p.URI != want {
			t.Errorf("%s: uri = %s\nwant %s", a.Platform, p.URI, want)
		}
		if p.SHA256 != a.SHA256 {
			t.Errorf("%s: sha256 = %s, the archive's is %s", a.Platform, p.SHA256, a.SHA256)
		}
	}
}
