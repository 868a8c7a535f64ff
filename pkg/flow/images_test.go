package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// read reads a text with images KEY=IMAGE; problems are one a line.
func readWithImages(t *testing.T, text string, images ...string) (*Flow, string) {
	t.Helper()
	src := Source{Name: "f.yml", Data: []byte(text), Env: env()}
	for _, i := range images {
		image, err := ParseImage(i, Position{File: "--image"})
		if err != nil {
			t.Fatal(err)
		}
		src.Images = append(src.Images, image)
	}
	f, problems := Parse(src)
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
	}
	return f, b.String()
}

const needsImages = `
jtype: Flow
gateway: {uses: jinaai+docker://acme/Gateway:1}
executors:
  - {name: hub, uses: jinahub+docker://CLIPTorchEncoder/latest-gpu}
  - {name: source, uses: 'jinahub://SimpleIndexer'}
  - {name: class, uses: MyExec}
  - {name: file, uses: exec/config.yml}
  - name: inline
    uses: {jtype: MyExec, with: {a: 1}}
  - {name: again, uses: jinahub+docker://CLIPTorchEncoder/latest-gpu}
  - {name: sharded, uses: docker://a/b:1, shards: 2, uses_before: jinahub://Split, uses_after: Merge}
  - {uses: Unnamed}
  - {name: silent}
`

func TestImagesReplaceWhatNoClusterCanRun(t *testing.T) {
	f, problems := readWithImages(t, needsImages,
		"gateway=a/gateway:1", "jinahub+docker://CLIPTorchEncoder/latest-gpu=a/clip:1", "again=a/again:1", "source=a/source:1", "class=a/class:1",
		"file=a/file:1", "inline=a/inline:1", "sharded/uses-before=a/before:1", "Merge=a/merge:1", "executor7=a/unnamed:1", "silent=docker://a/silent:1")
	if f == nil || problems != "" {
		t.Fatal(problems)
	}
	got := []string{f.Gateway.Uses.Image}
	for _, e := range f.Executors {
		got = append(got, e.Uses.Image)
		if e.UsesBefore != nil {
			got = append(got, e.UsesBefore.Image, e.UsesAfter.Image)
		}
	}
	want := []string{"a/gateway:1", "a/clip:1", "a/source:1", "a/class:1", "a/file:1", "a/inline:1", "a/again:1", "a/b:1", "a/before:1", "a/merge:1", "a/unnamed:1", "a/silent:1"}
	if !slices.Equal(got, want) {
		t.Errorf("images are %q, not %q", got, want)
	}
}

func TestEveryProblemOfAnImageNamesItsFlag(t *testing.T) {
	_, problems := Parse(Source{Name: "f.yml", Data: []byte(needsImages)})
	want := []string{
		"gateway=IMAGE", "hub=IMAGE", "source=IMAGE", "class=IMAGE", "file=IMAGE", "inline=IMAGE", "again=IMAGE",
		"sharded/uses-before=IMAGE", "sharded/uses-after=IMAGE", "executor7=IMAGE",
	}
	if got := problems.ImageLines(); !slices.Equal(got, want) {
		t.Errorf("lines are %q, not %q", got, want)
	}
	for _, p := range problems {
		if p.Severity == Error && !strings.Contains(p.Hint, "--image "+p.ImageKey+"=IMAGE") {
			t.Errorf("no flag: %s", p)
		}
	}
	if err := problems.Err().Error(); !strings.HasSuffix(err, "    sharded/uses-after=IMAGE\n    executor7=IMAGE") {
		t.Errorf("the error does not end with the lines of --images:\n%s", err)
	}
}

func TestImageWinsOverTheImageOfTheFile(t *testing.T) {
	f, problems := readWithImages(t, "jtype: Deployment\nwith: {uses: docker://a/b:1}", "executor=first:1", "executor=r.example:5000/x/y_z:1@sha256:"+strings.Repeat("a", 64))
	if f == nil {
		t.Fatal(problems)
	}
	if got := f.Executors[0].Uses.Image; !strings.HasPrefix(got, "r.example:5000/x/y_z:1@sha256:") {
		t.Errorf("image is %s", got)
	}
}

func TestImageThatNothingNeedsIsAnError(t *testing.T) {
	_, problems := readWithImages(t, "jtype: Flow\nexecutors: [{name: encoder, uses: docker://a/b:1}]", "encodr=x:1")
	want := "--image: error: \"encodr\" is neither the name of an executor nor the text of a uses; did you mean encoder? [image-key]\n"
	if problems != want {
		t.Errorf("problems are\n%s", problems)
	}
}

func TestSecretOfTheHubIsNotShown(t *testing.T) {
	_, problems := readWithImages(t, "jtype: Flow\nexecutors: [{name: e, uses: 'jinahub+docker://abcd1234:s3cret/v1'}]")
	if strings.Contains(problems, "s3cret") || !strings.Contains(problems, "abcd1234/v1") {
		t.Error(problems)
	}
}

func TestImageFileIsReadLineByLine(t *testing.T) {
	images, problems := ParseImages("images.txt", []byte("# ours\r\n\r\nencoder = registry.example/encoder:1.0\r\n  jinahub+docker://X?a=b=docker://y:2"))
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	want := []Image{
		{Key: "encoder", Image: "registry.example/encoder:1.0", Position: Position{"images.txt", 3, 1}},
		{Key: "jinahub+docker://X?a=b", Image: "y:2", Position: Position{"images.txt", 4, 3}},
	}
	if !slices.Equal(images, want) {
		t.Errorf("images are %v", images)
	}
}

func TestBrokenImageFilesSayWhere(t *testing.T) {
	_, problems := ParseImages("images.txt", []byte("a=b:1\nno separator\n =x\nc=\n  d=Not An Image\na=b:2\ne=UPPER/x\n"))
	want := []string{
		`images.txt:2:1: error: "no separator" is not of the form KEY=IMAGE [image-key]`,
		`images.txt:3:2: error: "=x" has no KEY: write the name of an executor, or the text of its uses, before the = [image-key]`,
		`images.txt:4:1: error: "c=" has no IMAGE after the = [image-key]`,
		`images.txt:5:3: error: "Not An Image" is not the name of an image, like registry.example/encoder:1.0 [image-key]`,
		`images.txt:6:1: error: a has an image already, at images.txt:1:1; keep one of them [image-key]`,
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems are\n%s", strings.Join(got, "\n"))
	}
	for _, data := range []string{"a=b\x00", "a=\xff", strings.Repeat("#", MaxSize+1)} {
		if _, problems := ParseImages("i", []byte(data)); problems.Err() == nil {
			t.Errorf("%.20q is taken", data)
		}
	}
}
