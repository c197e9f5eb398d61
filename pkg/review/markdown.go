package review

import (
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

var markdown = template.Must(template.New("markdown").Funcs(functions).Funcs(template.FuncMap{"literal": literal}).Parse(`# Post-Incident Review - {{literal .Target}}

**Incident**: {{literal .ID}}, {{.Severity}}: {{literal .Title}}  
**Date**: {{day .Opened}}  
**Duration**: {{if .Ended.IsZero}}ongoing{{else}}{{.Duration}}{{end}}  
**Impact**: {{if .Impact}}{{literal .Impact}}{{else}}_to be filled in_{{end}}
{{- if not .Due.IsZero}}  
**Review due**: {{day .Due}}{{end}}

| | at (UTC) | after | from |
|---|---|---|---|
{{range .Marks}}| {{.Name}} | {{if .At.IsZero}}{{literal .None}} | | {{else}}{{when .At}} | {{.After}} | {{if .Row}}[{{.Row}}]{{end}} {{end}}|
{{end}}
Measurements:
{{range .Measured}}- {{literal .}}
{{end}}
## Changes before the incident
{{range .Before}}- {{literal .}}
{{else}}Unknown.
{{end}}
## Timeline
{{range .Rows}}{{if and $.Dropped (eq .N (add 11 $.Dropped))}}- … {{$.Dropped}} entries are only in the audit record
{{end}}- [{{.N}}] {{clock .At}} UTC: **{{literal (print .Kind)}}** {{literal .Text}}
{{end}}
## Actions
{{range .Done}}- {{literal .Summary}}: **{{literal (print .Verdict)}}**{{if .Reason}} ({{literal .Reason}}){{end}}{{if .Row}} [{{.Row}}]{{end}}
{{else}}None.
{{end}}
## Actions not taken, and why
{{range .Refused}}- [{{.N}}] {{literal .Text}}
{{else}}None.
{{end}}{{range .Last}}- last answer of guard {{literal .Guard}}: {{.Hold}}: {{literal .Reason}}
{{end}}
## Notifications
{{range .Told}}- {{literal .Receiver}}: {{literal .State}}{{if not .At.IsZero}}, {{when .At}} UTC{{end}}{{if .Error}}, failed: {{literal .Error}}{{end}}
{{else}}None.
{{end}}
## Root Cause
{{if .RootCause}}{{range lines .RootCause}}{{literal .}}
{{end}}{{else}}_to be filled in_
{{end}}
## Lessons
{{if .Lessons}}{{range lines .Lessons}}{{literal .}}
{{end}}{{else}}_to be filled in_
{{end}}
## Action Items
{{range $k, $a := .ActionItems}}{{add $k 1}}. [{{if .Done}}x{{else}} {{end}}] {{literal .What}} ({{literal .Owner}}, due {{literal .Due}})
{{else}}_to be filled in_
{{end}}{{if or .Contacts .Links}}
## Quick reference
{{range .Contacts}}- {{literal .}}
{{end}}{{range .Links}}- {{literal .Name}}: <{{address .URL}}>
{{end}}{{end}}`))
