package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// hidden stands where a secret stood. It has no character that JSON or HTML escapes.
	hidden = "[redacted]"
	// shortest is the length from which on a value is taken for a secret: hiding shorter
	// ones would tear words apart, and tell what they are.
	shortest = 8
	// maxFile is far above any file of secrets.
	maxFile = 64 << 10
	// kept are the values of one file that are known: what was rotated is still in answers
	// and errors for a while.
	kept = 3
	// maxValues are the values that are known without a file.
	maxValues = 1000
)

// Known hides the secrets that this process has read, in the forms in which texts of others
// send them back: as they are, escaped for JSON and URLs, and in Base64. The zero value
// and nil know none. Its methods may be called at once.
type Known struct {
	mu     sync.Mutex
	byFile map[string][]string // file contents, the newest first
	hide   atomic.Pointer[strings.Replacer]
}

// Read reads the files again. What cannot be read is left out: an error is told where the
// file is used.
func (k *Known) Read(files ...string) {
	k.update(func() (news bool) {
		for _, f := range files {
			if text, err := small(f); err == nil {
				news = k.learn(f, text, kept) || news
			}
		}
		return news
	})
}

// Add makes values known that are in no file of their own.
func (k *Known) Add(values ...string) {
	k.update(func() (news bool) {
		for _, v := range values {
			news = k.learn("", v, maxValues) || news
		}
		return news
	})
}

// update makes the replacer anew if something was learned.
func (k *Known) update(learn func() (news bool)) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byFile == nil {
		k.byFile = map[string][]string{}
	}
	if learn() {
		k.compile()
	}
}

// learn notes a value of a file, of which the newest few are kept, and reports whether it is
// news.
func (k *Known) learn(file, text string, most int) bool {
	if slices.Contains(k.byFile[file], text) {
		return false
	}
	k.byFile[file] = append([]string{text}, k.byFile[file]...)
	k.byFile[file] = k.byFile[file][:min(most, len(k.byFile[file]))]
	return true
}

func (k *Known) compile() {
	var all []string
	for _, texts := range k.byFile {
		for _, t := range texts {
			all = append(all, written(t)...)
		}
	}
	// The longest first: a secret may be part of another.
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, f := range slices.Compact(all) {
		pairs = append(pairs, f, hidden)
	}
	k.hide.Store(strings.NewReplacer(pairs...))
}

func small(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(b), err
}

// written are the forms in which the content of a file is hidden: whole, line by line, and of
// a URL what identifies it beside its host.
func written(content string) (all []string) {
	values := append(strings.Split(content, "\n"), content)
	for _, v := range values {
		v = strings.TrimSpace(v)
		if u, err := url.Parse(v); err == nil && u.Host != "" && len(u.RequestURI()) > shortest {
			all = append(all, u.RequestURI(), strings.Trim(u.Path, "/"))
			if p, ok := u.User.Password(); ok {
				all = append(all, p)
			}
		}
		all = append(all, v, url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)),
			base64.RawURLEncoding.EncodeToString([]byte(v)))
		for _, escape := range []bool{false, true} {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(escape)
			if e.Encode(v) == nil {
				all = append(all, strings.Trim(strings.TrimSpace(b.String()), `"`))
			}
		}
	}
	return slices.DeleteFunc(all, func(f string) bool { return len(f) < shortest || strings.HasPrefix(f, "-----") })
}

// Text returns the text without the secrets.
func (k *Known) Text(text string) string {
	if k == nil {
		return text
	}
	if r := k.hide.Load(); r != nil {
		return r.Replace(text)
	}
	return text
}

// Value returns the value without the secrets in its texts, as JSON writes it. One that
// holds none is returned as it is.
func Value[T any](k *Known, v T) T {
	if k == nil || k.hide.Load() == nil {
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	text := string(b)
	clean := k.Text(text)
	if clean == text {
		return v
	}
	var without T
	if err := json.Unmarshal([]byte(clean), &without); err != nil {
		return v
	}
	return without
}
