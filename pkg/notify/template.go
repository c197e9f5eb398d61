package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"text/template"
	"text/template/parse"
	"time"

	amtemplate "github.com/prometheus/alertmanager/template"
)

// bounded is a template of the user's with Alertmanager's functions, that can
// neither run for ever nor write without end.
type bounded struct {
	t     *template.Template
	limit time.Duration
}

// Limits of one execution.
const (
	templateTime = 2 * time.Second
	templateSize = 256 << 10
)

// parseBody reads a template, with the functions of Alertmanager's.
func parseBody(text string) (*bounded, error) {
	t, err := template.New("body").Option("missingkey=zero").Funcs(template.FuncMap(amtemplate.DefaultFuncs)).Funcs(template.FuncMap{alive: func() (string, error) { return "", nil }}).Parse(text)
	if err != nil {
		return nil, err
	}
	for _, one := range t.Templates() {
		watch(one.Tree, one.Root)
	}
	return &bounded{t, templateTime}, nil
}

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
		call := template.Must(template.New("").Funcs(template.FuncMap{alive: func() string { return "" }}).Parse("{{" + alive + "}}"))
		n.List.Nodes = append([]parse.Node{call.Root.Nodes[0]}, n.List.Nodes...)
	}
}

// execute fills the template in.
func (b *bounded) execute(ctx context.Context, data any) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	until := time.Now().Add(b.limit)
	t, err := b.t.Clone()
	if err != nil {
		return "", err
	}
	t.Funcs(template.FuncMap{alive: func() (string, error) {
		if time.Now().After(until) {
			return "", fmt.Errorf("it takes longer than %s", b.limit)
		}
		return "", ctx.Err()
	}})
	var w limited
	err = t.Execute(&w, data)
	return w.String(), err
}

// limited is a buffer that takes so much and no more.
type limited struct{ bytes.Buffer }

var errMuch = errors.New("it writes more than 256 KiB")

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > templateSize {
		return 0, errMuch
	}
	return l.Buffer.Write(p)
}
