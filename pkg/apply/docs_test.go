package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryPitfallIsNamedByATest holds docs/apply.md to the tests: each of the pitfalls C1 to C19 has one that exists, or a
// reason why it does not apply.
func TestEveryPitfallIsNamedByATest(t *testing.T) {
	data, err := os.ReadFile("../../docs/apply.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (C\d+) \|(.*)\|$`).FindAllStringSubmatch(string(data), -1) {
		rows[m[1]] = m[2]
	}
	named := regexp.MustCompile("`((?:pkg|internal)/[a-z]+) (Test\\w+)`")
	for i := range 19 {
		id := fmt.Sprintf("C%d", i+1)
		tests := named.FindAllStringSubmatch(rows[id], -1)
		if len(tests) == 0 && !strings.Contains(rows[id], "Does not apply: ") {
			t.Errorf("%s: no test and no reason in %q", id, rows[id])
		}
		for _, m := range tests {
			if !hasTest(t, filepath.Join("..", "..", m[1]), m[2]) {
				t.Errorf("%s: %s has no %s", id, m[1], m[2])
			}
		}
	}
}

// TestTheWayBackIsShownByTestsThatExist holds the section about going back to the tests that it names.
func TestTheWayBackIsShownByTestsThatExist(t *testing.T) {
	data, err := os.ReadFile("../../docs/apply.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "\n## Going back\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`((?:pkg|internal)/[a-z]+) (Test\\w+)`").FindAllStringSubmatch(section, -1)
	if len(named) == 0 {
		t.Error("the section names no test")
	}
	for _, m := range named {
		if !hasTest(t, filepath.Join("..", "..", m[1]), m[2]) {
			t.Errorf("%s has no %s", m[1], m[2])
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
