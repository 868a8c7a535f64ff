package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func itemsIn(t *testing.T, list string) ([]string, error) {
	t.Helper()
	var items []string
	// One byte at a time is the hardest a reader can be.
	err := readItems(iotest.OneByteReader(strings.NewReader(list)), func(item []byte) { items = append(items, string(item)) })
	return items, err
}

func TestItemsOfAListAreReadOneByOne(t *testing.T) {
	long := strings.Repeat(`\"x\\`, 40000)
	for list, want := range map[string][]string{
		`{"kind":"List","items":[]}`:                                            nil,
		`{"items":null,"kind":"List"}`:                                          nil,
		` {"metadata":{"items":[{"a":1}]},"items":[{"b":[{}]} , {"c":"}]\""}]}`: {`{"b":[{}]}`, `{"c":"}]\""}`},
		`{"other":[{"x":1}],"items":[{"a":{"items":[{"b":1}]}}],"z":[{}]}`:      {`{"a":{"items":[{"b":1}]}}`},
		`{"items":[{"a\\":"\\\\"},{"b":"\\"}]}`:                                 {`{"a\\":"\\\\"}`, `{"b":"\\"}`},
		`{"items":[{"long":"` + long + `"},{"é":"ü{"}]}`:                        {`{"long":"` + long + `"}`, `{"é":"ü{"}`},
	} {
		items, err := itemsIn(t, list)
		if err != nil || strings.Join(items, "\n") != strings.Join(want, "\n") {
			t.Errorf("%.80s: %.200q, %v", list, items, err)
		}
	}
}

func TestBrokenListIsAnError(t *testing.T) {
	for _, list := range []string{"", "null", "text", `{"items":[{"a":1}`, `{"items":[{"a":"`, `}`, `{"items":[{"a":1}]}}`} {
		if items, err := itemsIn(t, list); err == nil {
			t.Errorf("%q has the items %q", list, items)
		}
	}
	// What cuts the answer off is the error, wherever it does: an interrupt, or a connection that is lost.
	broken := errors.New("broken")
	for _, begun := range []string{"", `{"kind"`, `{"ki`, `{"items":[{"a":1}`, `{"items":[{"a":"`} {
		list := io.MultiReader(strings.NewReader(begun), iotest.ErrReader(broken))
		if err := readItems(list, func([]byte) {}); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", begun, err)
		}
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"items":[{"a":"\"}"},{"b":[1,{}]}],"kind":"x"}`))
	f.Add([]byte(`{"metadata":{},"items":[{}]}`))
	f.Fuzz(func(t *testing.T, list []byte) {
		var want struct {
			Items []map[string]any `json:"items"`
		}
		dec := json.NewDecoder(bytes.NewReader(list))
		if dec.Decode(&want) != nil || len(bytes.TrimSpace(list[dec.InputOffset():])) > 0 || !bytes.HasPrefix(bytes.TrimSpace(list), []byte("{")) {
			return
		}
		var keys map[string]json.RawMessage
		if json.Unmarshal(list, &keys) != nil || len(keys) != bytes.Count(topLevel(list), []byte(":")) || bytes.Contains(list, []byte("null")) {
			return // a key that comes twice, in another case, or escaped, is nothing that an API server writes
		}
		if _, has := keys["items"]; !has {
			return
		}
		var items [][]byte
		if err := readItems(bytes.NewReader(list), func(item []byte) { items = append(items, item) }); err != nil {
			t.Fatalf("%q: %v", list, err)
		}
		if len(items) != len(want.Items) {
			t.Fatalf("%q has %d items, not %d", list, len(want.Items), len(items))
		}
		for i, item := range items {
			var got map[string]any
			if err := json.Unmarshal(item, &got); err != nil {
				t.Fatalf("%q: item %q: %v", list, item, err)
			}
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want.Items[i])
			if !bytes.Equal(a, b) {
				t.Fatalf("%q: item %s, want %s", list, a, b)
			}
		}
	})
}

// topLevel is a JSON object without its strings and what is nested in it; of one that has the key items escaped it is nothing.
func topLevel(object []byte) []byte {
	if !bytes.Contains(object, []byte(`"items"`)) {
		return nil
	}
	var out []byte
	depth := 0
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '"':
			for i++; i < len(object) && object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth == 1 {
				out = append(out, object[i])
			}
		}
	}
	return out
}
