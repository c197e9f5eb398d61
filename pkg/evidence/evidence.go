// Package evidence keeps what a target looked like before it was acted on: a folder of
// bundles in the data directory, one for each action.
//
// It owns what a bundle is called, that no secret is in it, and how many are kept. What is
// captured it leaves to pkg/kube, and when, to the engine.
//
// Its one rule: every file passes the redaction, and is readable by this account only
// (SEC-22).
package evidence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/kube"
	"watchdog.io/watchdog/pkg/redact"
)

// most is how many bundles stay in the data directory.
const most = 50

// Folder is the folder of the bundles.
type Folder struct {
	dir    string
	reader *kube.Reader
	known  *redact.Known
}

// New returns the folder of the bundles, which is made with the first one.
func New(dir string, reader *kube.Reader, known *redact.Known) *Folder {
	return &Folder{dir: dir, reader: reader, known: known}
}

// Capture writes a bundle, one file per thing captured. It returns where it is, and what
// could not be captured.
func (f *Folder) Capture(ctx context.Context, t incident.Target, name string) (ref, gap string, err error) {
	patterns := redact.Patterns()
	b, err := f.reader.Evidence(ctx, t, kube.EvidenceOptions{
		Redact: func(b []byte) []byte { return []byte(f.known.Text(patterns(string(b)))) },
	})
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(f.dir, name)
	if err := errors.Join(fileutil.Private(f.dir), fileutil.Private(dir)); err != nil {
		return "", "", fmt.Errorf("store evidence: %w", err)
	}
	size := 0
	for file, content := range b.Files {
		size += len(content)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o600); err != nil {
			return "", "", fmt.Errorf("store evidence: %w", err)
		}
	}
	f.prune()
	return fmt.Sprintf("evidence/%s (%d files, %d KiB)", name, len(b.Files), (size+1023)/1024), strings.Join(b.Gaps,
		"; "), nil
}

// prune keeps the newest bundles; names begin with a time-ordered id.
func (f *Folder) prune() {
	all, err := os.ReadDir(f.dir)
	if err != nil {
		return
	}
	for _, e := range all[:max(0, len(all)-most)] {
		_ = os.RemoveAll(filepath.Join(f.dir, e.Name()))
	}
}
