package review

import (
	_ "embed"
	"html/template"
	"io"
)

// HTML writes the review as one file that needs nothing else.
func (r Review) HTML(w io.Writer) error { return page.Execute(w, r) }

//go:embed review.html.tmpl
var pageText string

var page = template.Must(template.New("html").Funcs(functions).Parse(pageText))
