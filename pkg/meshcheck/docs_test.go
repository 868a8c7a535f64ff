package meshcheck

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const docs = "../../docs/checks.md"

func TestEveryCheckHasItsSectionInTheDocs(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var headings, ids []string
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(string(text), -1) {
		headings = append(headings, m[1])
	}
	for _, c := range Checks() {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(headings, ids) {
		t.Fatalf("sections %q, checks %q", headings, ids)
	}
	sections := regexp.MustCompile(`(?m)^### .+$`).Split(string(text), -1)[1:]
	for i, c := range Checks() {
		// Lines may be wrapped in the docs.
		section := strings.Join(strings.Fields(sections[i]), " ")
		for _, want := range append([]string{"Checks that " + c.Title + ".", c.Why}, c.Remedy...) {
			if !strings.Contains(section, want) {
				t.Errorf("%s: the section does not say %q", c.ID, want)
			}
		}
		if decides := strings.Contains(section, "Decides."); decides != c.Decides {
			t.Errorf("%s: the section says that it decides: %t; the table: %t", c.ID, decides, c.Decides)
		}
		if got := c.Docs(); !strings.HasSuffix(got, "docs/checks.md#"+c.ID) {
			t.Errorf("%s: anchor %s", c.ID, got)
		}
	}
}

func TestTheTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.ID] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(c.ID) {
			t.Errorf("%q is no ID, or not the only one", c.ID)
		}
		seen[c.ID] = true
		if c.Group == "" || c.Title == "" || c.Why == "" || c.run == nil {
			t.Errorf("%s lacks something: %+v", c.ID, c)
		}
	}
}
