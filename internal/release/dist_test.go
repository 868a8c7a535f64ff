package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of what was built need a folder that says so: one left over from another commit would not match.
var distFlag = flag.String("dist", "", "test the archives in this `folder` too; relative to this package")

// builtDist is the folder under test and what is in it.
func builtDist(t *testing.T) (string, *Dist) {
	t.Helper()
	if *distFlag == "" {
		t.Skip("no -dist: `make release-snapshot` builds the archives and runs this test on them")
	}
	d, err := ReadDist(*distFlag)
	if err != nil {
		t.Fatal(err)
	}
	return *distFlag, d
}

func TestBuiltArchivesAreThoseOfTheConfiguration(t *testing.T) {
	_, d := builtDist(t)
	c := repositoryConfig(t)
	built := map[string]bool{}
	for _, a := range d.Archives {
		built[filepath.Base(a.Path)] = true
	}
	for _, p := range c.Platforms() {
		name, err := c.ArchiveName(p, d.Version)
		if err != nil {
			t.Fatal(err)
		}
		if !built[name] {
			t.Errorf("%s was not built", name)
		}
	}
	if len(d.Archives) != len(c.Platforms()) {
		t.Errorf("%d archives for %d platforms", len(d.Archives), len(c.Platforms()))
	}
}

func TestBuiltManifestMatchesTheArchives(t *testing.T) {
	dir, d := builtDist(t)
	stamped, err := os.ReadFile(filepath.Join(dir, "krew.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	assertOnlyStamped(t, readFile(t, "krew.yaml"), stamped)
	m, err := ParseManifest(stamped)
	if err != nil {
		t.Fatal(err)
	}
	assertStampedWith(t, m, d)
}

func TestChecksumFileIsRight(t *testing.T) {
	dir, d := builtDist(t)
	text, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(d.Archives) {
		t.Errorf("%d checksums for %d archives", len(lines), len(d.Archives))
	}
	for _, a := range d.Archives {
		if want := a.SHA256 + "  " + filepath.Base(a.Path) + "\n"; !strings.Contains(string(text), want) {
			t.Errorf("checksums.txt has no line %q", want)
		}
	}
}

func TestArchivesHoldTheLicenceAndAProgramForTheirPlatform(t *testing.T) {
	_, d := builtDist(t)
	licence, m := readFile(t, "LICENSE"), repositoryManifest(t)
	bins := map[Platform]string{}
	for _, p := range m.Spec.Platforms {
		bins[p.Platform()] = p.Bin
	}
	for _, a := range d.Archives {
		t.Run(a.Platform.String(), func(t *testing.T) {
			files, err := unpack(a.Path)
			if err != nil {
				t.Fatal(err)
			}
			if len(files) != 2 {
				t.Errorf("%d files, want the program and LICENSE", len(files))
			}
			if !bytes.Equal(files["LICENSE"].content, licence) {
				t.Error("LICENSE is missing or another one")
			}
			bin, ok := files[bins[a.Platform]]
			if !ok {
				t.Fatalf("krew's bin %q is not in the archive", bins[a.Platform])
			}
			if bin.mode.Perm() != 0o755 {
				t.Errorf("mode = %v, want an executable", bin.mode)
			}
			assertProgram(t, bin.content, a.Platform, d.Version)
		})
	}
}

// assertProgram reads the program without running it: it is for another machine.
func assertProgram(t *testing.T, program []byte, p Platform, version string) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for key, want := range map[string]string{"GOOS": p.OS, "GOARCH": p.Arch, "CGO_ENABLED": "0", "-trimpath": "true"} {
		if settings[key] != want {
			t.Errorf("%s = %q, want %q", key, settings[key], want)
		}
	}
	if !bytes.Contains(program, []byte(version)) {
		t.Errorf("the program does not carry its version %s", version)
	}
}

func TestReadDistSaysWhatIsMissing(t *testing.T) {
	const metadata = `{"version": "1.2.3"}`
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, "metadata.json"},
		{"no list", map[string]string{"metadata.json": metadata}, "artifacts.json"},
		{"a broken list", map[string]string{"metadata.json": metadata, "artifacts.json": "{"}, "artifacts.json"},
		{"no archive", map[string]string{"metadata.json": metadata, "artifacts.json": `[{"type": "Binary"}]`}, "lists no archive"},
		{"a lost archive", map[string]string{"metadata.json": metadata, "artifacts.json": `[{"type": "Archive", "name": "a.zip"}]`}, "a.zip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := ReadDist(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestReadDistTakesTheChecksumFromTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"metadata.json":  `{"version": "1.2.3"}`,
		"artifacts.json": `[{"type": "Archive", "name": "a.zip", "goos": "linux", "goarch": "arm64"}]`,
		"a.zip":          "abc",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := ReadDist(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The sum of "abc" is the first example of FIPS 180-2, B.1.
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	want := Archive{Platform: Platform{OS: "linux", Arch: "arm64"}, Path: filepath.Join(dir, "a.zip"), SHA256: sum}
	if d.Version != "v1.2.3" || len(d.Archives) != 1 || d.Archives[0] != want {
		t.Errorf("dist = %+v, want v1.2.3 with %+v", d, want)
	}
}

type packed struct {
	mode    fs.FileMode
	content []byte
}

// unpack reads an archive of either format by the names of its files.
func unpack(path string) (map[string]packed, error) {
	if strings.HasSuffix(path, ".zip") {
		return unzip(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files := map[string]packed{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files[h.Name] = packed{mode: h.FileInfo().Mode(), content: content}
	}
}

func unzip(path string) (map[string]packed, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	files := map[string]packed{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
		files[f.Name] = packed{mode: f.Mode(), content: content}
	}
	return files, nil
}
