package notify

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"text/template"
	"text/template/parse"
	"time"

	amtemplate "github.com/prometheus/alertmanager/template"
)

// Template is a template of the user's with Alertmanager's functions, that can
// neither run for ever nor write without end.
type Template struct {
	Limit time.Duration
	// fill executes a copy that asks alive at each turn of a loop.
	fill func(w io.Writer, data any, alive func() (string, error)) error
}

// Limits of one execution.
const (
	TemplateTime = 2 * time.Second
	templateSize = 256 << 10
)

// ParseTemplate reads a template, with the functions of Alertmanager's and what the
// shared texts define.
func ParseTemplate(text string, shared ...string) (*Template, error) {
	t, err := parseText(text, shared...)
	if err != nil {
		return nil, err
	}
	for _, one := range t.Templates() {
		watch(one.Tree, one.Root)
	}
	return &Template{TemplateTime, func(w io.Writer, data any, ask func() (string, error)) error {
		c, err := t.Clone()
		if err != nil {
			return err
		}
		return c.Funcs(template.FuncMap{alive: ask}).Execute(w, data)
	}}, nil
}

// parseText reads a template beside the names that Alertmanager has by default, which
// any file of the user's may define anew.
func parseText(text string, shared ...string) (*template.Template, error) {
	t := template.New("body").Option("missingkey=zero").Funcs(template.FuncMap(amtemplate.DefaultFuncs)).
		Funcs(template.FuncMap{alive: forever})
	_, err := t.New("alertmanager").Parse(alertmanagerNames)
	if err == nil {
		_, err = t.Parse(text)
	}
	for k, more := range shared {
		if err == nil {
			_, err = t.New(fmt.Sprint("shared ", k)).Parse(more)
		}
	}
	return t, err
}

//go:embed alertmanager.tmpl
var alertmanagerNames string

// ParseHTML is parseBody for a page: what is filled in is escaped for its place.
func ParseHTML(text string, shared ...string) (*Template, error) {
	t := htmltemplate.New("body").Option("missingkey=zero").Funcs(htmltemplate.FuncMap(amtemplate.DefaultFuncs)).
		Funcs(htmltemplate.FuncMap{alive: forever})
	_, err := t.New("alertmanager").Parse(alertmanagerNames)
	if err == nil {
		_, err = t.Parse(text)
	}
	for k, more := range shared {
		if err == nil {
			_, err = t.New(fmt.Sprint("shared ", k)).Parse(more)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, one := range t.Templates() {
		watch(one.Tree, one.Tree.Root)
	}
	return &Template{TemplateTime, func(w io.Writer, data any, ask func() (string, error)) error {
		c, err := t.Clone()
		if err != nil {
			return err
		}
		return c.Funcs(htmltemplate.FuncMap{alive: ask}).Execute(w, data)
	}}, nil
}

func forever() (string, error) { return "", nil }

// alive is called at each turn of a loop, and fails when the time is over: an
// empty loop over a large number would else never give the processor back.
const alive = "alive"

// watch puts a call of alive into each loop.
func watch(tree *parse.Tree, n parse.Node) {
	branch := func(b *parse.BranchNode) {
		watch(tree, b.List)
		if b.ElseList != nil {
			watch(tree, b.ElseList)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, x := range n.Nodes {
			watch(tree, x)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
		// A condition, not a value: nothing is written, whatever place of a page this is.
		call := template.Must(template.New("").Funcs(template.FuncMap{alive: forever}).Parse("{{if " + alive +
			"}}{{end}}"))
		n.List.Nodes = append([]parse.Node{call.Root.Nodes[0]}, n.List.Nodes...)
	}
}

// Execute fills the template in.
func (b *Template) Execute(ctx context.Context, data any) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	until := time.Now().Add(b.Limit)
	var w limited
	err = b.fill(&w, data, func() (string, error) {
		if time.Now().After(until) {
			return "", fmt.Errorf("execution exceeds %s", b.Limit)
		}
		return "", ctx.Err()
	})
	return w.String(), err
}

// limited is a buffer that takes so much and no more.
type limited struct{ bytes.Buffer }

var errMuch = errors.New("output exceeds 256 KiB")

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > templateSize {
		return 0, errMuch
	}
	return l.Buffer.Write(p)
}
