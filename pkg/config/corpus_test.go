package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	corpus       = "testdata/bad-*.yaml"
	messagesFile = "testdata/messages.golden"
)

// mistakes returns what is said of each file of the corpus, one paragraph per file.
func mistakes(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(corpus)
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var b strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(filepath.Base(f), text)
		if err == nil || c != nil {
			t.Errorf("%s is taken", f)
			continue
		}
		b.WriteString(err.Error() + "\n\n")
	}
	return b.String()
}

func TestEachMistakeIsOneClearError(t *testing.T) {
	got := mistakes(t)
	if *update {
		if err := os.WriteFile(messagesFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(messagesFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("-want +got; -update writes it anew, and the difference wants reading:\n%s", d)
	}
	for said := range strings.SplitSeq(strings.TrimSpace(got), "\n\n") {
		if strings.Contains(said, "\n") {
			t.Errorf("one mistake, several errors:\n%s", said)
		}
	}
}

func TestEachMistakeHasItsPlace(t *testing.T) {
	for line := range strings.Lines(mistakes(t)) {
		place, _, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if line != "\n" && strings.Count(place, ":") != 2 {
			t.Errorf("no line and column in %q", line)
		}
	}
}

func TestTheFileThatTheCorpusBreaksIsGood(t *testing.T) {
	if _, err := Parse("good.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
}
