package statuspage

import (
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
)

// facts are all that a public text may hold beside its own words (SEC-24).
type facts struct {
	Component string // its public name, from the configuration
	Since     string
}

// text is a public text: words and facts, nothing else.
type text []parse.Node

// publicTemplate is what one state of one severity is told with.
type publicTemplate struct {
	name, body text
	automatic  bool
}

// publicTemplates are the texts by severity and state; an empty severity is any.
type publicTemplates map[incident.Severity]map[string]publicTemplate

// plainly is what is told where the configuration says nothing.
var plainly = map[string]string{
	"investigating": "We are seeing degraded service and are looking into it.",
	"identified":    "We have found the likely cause and are applying a fix.",
	"monitoring":    "A fix has been applied. We are watching the recovery.",
	"resolved":      "The service has recovered.",
}

const plainName = "Degraded service"

func newPublicTemplates(all []config.StatuspageTemplate) (publicTemplates, error) {
	w := publicTemplates{"": {}}
	for state, body := range plainly {
		w[""][state] = publicTemplate{text{&parse.TextNode{Text: []byte(plainName)}},
			text{&parse.TextNode{Text: []byte(body)}}, false}
	}
	// What is for any severity comes first: the others begin with it.
	for _, n := range order(all) {
		c := all[n]
		x := w.of(c.Severity, c.State)
		x.automatic = c.Automatic
		for _, one := range []struct {
			of   string
			from string
			to   *text
		}{{"name", c.Name, &x.name}, {"body", c.Body, &x.body}} {
			if one.from == "" {
				continue
			}
			t, err := publicText(one.from)
			if err != nil {
				return nil, fmt.Errorf("templates[%d].%s: %w", n, one.of, err)
			}
			*one.to = t
		}
		if w[c.Severity] == nil {
			w[c.Severity] = map[string]publicTemplate{}
		}
		w[c.Severity][c.State] = x
	}
	return w, nil
}

func order(all []config.StatuspageTemplate) []int {
	var own, anybody []int
	for n, c := range all {
		if c.Severity == "" {
			anybody = append(anybody, n)
		} else {
			own = append(own, n)
		}
	}
	return append(anybody, own...)
}

// of is the text for a state: the severity's own, or anybody's.
func (w publicTemplates) of(s incident.Severity, state string) publicTemplate {
	if x, ok := w[s][state]; ok {
		return x
	}
	return w[""][state]
}

// publicText reads a text. Only plain words and the facts may stand in it.
func publicText(s string) (text, error) {
	t, err := template.New("text").Parse(s)
	if err != nil {
		return nil, err
	}
	if len(t.Templates()) > 1 || t.Tree == nil {
		return nil, fmt.Errorf("status page texts cannot define templates; %s", mayHold)
	}
	for _, n := range t.Root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			continue
		case *parse.ActionNode:
			if fact(n) != "" {
				continue
			}
		}
		return nil, fmt.Errorf("%s is not allowed in a status page text; %s", n, mayHold)
	}
	return t.Root.Nodes, nil
}

const mayHold = "only {{ .Component }} and {{ .Since }} are allowed beside plain text"

// fact is the fact that an action shows; empty: it is something else.
func fact(a *parse.ActionNode) string {
	if len(a.Pipe.Decl) > 0 || len(a.Pipe.Cmds) != 1 || len(a.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	f, ok := a.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(f.Ident) != 1 || f.Ident[0] != "Component" && f.Ident[0] != "Since" {
		return ""
	}
	return f.Ident[0]
}

// fill writes the facts in.
func (t text) fill(f facts) string {
	var b strings.Builder
	for _, n := range t {
		switch n := n.(type) {
		case *parse.TextNode:
			b.Write(n.Text)
		case *parse.ActionNode:
			b.WriteString(map[string]string{"Component": f.Component, "Since": f.Since}[fact(n)])
		}
	}
	return b.String()
}
