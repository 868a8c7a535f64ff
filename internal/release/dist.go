package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Dist is what one run of goreleaser left in its folder.
type Dist struct {
	// Version is the built version, with its "v".
	Version string
	// Archives in the order of goreleaser's list.
	Archives []Archive
}

// Archive is a file that users download.
type Archive struct {
	Platform Platform
	// Path of the file.
	Path string
	// SHA256 of the file as it is on the disk, in hexadecimal digits; not what goreleaser says of it.
	SHA256 string
}

// ReadDist reads the folder of a finished run by the two files in which goreleaser describes it, metadata.json
// and artifacts.json. A folder without archives is an error.
func ReadDist(dir string) (*Dist, error) {
	var metadata struct {
		Version string `json:"version"`
	}
	if err := readJSON(filepath.Join(dir, "metadata.json"), &metadata); err != nil {
		return nil, err
	}
	var artifacts []struct {
		Name string `json:"name"`
		OS   string `json:"goos"`
		Arch string `json:"goarch"`
		Type string `json:"type"`
	}
	if err := readJSON(filepath.Join(dir, "artifacts.json"), &artifacts); err != nil {
		return nil, err
	}
	d := &Dist{Version: "v" + metadata.Version}
	for _, a := range artifacts {
		if a.Type != "Archive" {
			continue
		}
		path := filepath.Join(dir, a.Name)
		sum, err := fileSHA256(path)
		if err != nil {
			return nil, err
		}
		d.Archives = append(d.Archives, Archive{Platform: Platform{OS: a.OS, Arch: a.Arch}, Path: path, SHA256: sum})
	}
	if len(d.Archives) == 0 {
		return nil, fmt.Errorf("%s lists no archive", filepath.Join(dir, "artifacts.json"))
	}
	return d, nil
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what goreleaser built: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("checksum of %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
