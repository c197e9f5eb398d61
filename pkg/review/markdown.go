package review

import (
	_ "embed"
	"io"
	"strings"
	"text/template"
	"time"
	"unicode"
)

// Markdown writes the review under the runbook's own headings (8.2). Text of
// others is shown literally.
func (r Review) Markdown(w io.Writer) error { return markdown.Execute(w, r) }

var functions = map[string]any{
	"day":   func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	// In angle brackets an address is a link, and ends at the first that it cannot hold.
	"address": func(s string) string {
		return strings.Map(func(r rune) rune {
			if r <= ' ' || r == '<' || r == '>' || r == 0x7f {
				return -1
			}
			return r
		}, s)
	},
	"add":   func(a, b int) int { return a + b },
	"lines": func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") },
}

// special are the characters by which Markdown, or HTML in it, would mean something.
const special = "\\`*[]<>{}#|~&@"

// literal keeps foreign text on one line and takes its markup away.
func literal(s string) string {
	var b strings.Builder
	in := []rune(s)
	word := func(k int) bool { return k >= 0 && k < len(in) && (unicode.IsLetter(in[k]) || unicode.IsDigit(in[k])) }
	for k, c := range in {
		switch {
		case unicode.IsControl(c):
			c = ' '
		case strings.ContainsRune(special, c),
			c == '_' && !(word(k-1) && word(k+1)), // within a word it makes no emphasis
			c == ':' && strings.HasPrefix(string(in[k:min(len(in), k+3)]), "://"):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

//go:embed review.md.tmpl
var markdownText string

var markdown = template.Must(template.New("markdown").Funcs(functions).
	Funcs(template.FuncMap{"literal": literal}).Parse(markdownText))
