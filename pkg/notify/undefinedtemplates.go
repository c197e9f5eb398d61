package notify

import (
	"maps"
	"slices"
	"text/template/parse"
)

// UndefinedNames are the names that a text calls, also by way of others, and nobody defines.
func UndefinedNames(text string, shared []string) []string {
	t, err := parseText(text, shared...)
	if err != nil {
		return nil // the configuration was refused for it
	}
	seen, missing := map[string]bool{}, map[string]bool{}
	var call func(name string)
	var walk func(n parse.Node)
	branch := func(b parse.BranchNode) {
		walk(b.List)
		if b.ElseList != nil {
			walk(b.ElseList)
		}
	}
	walk = func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ListNode:
			for _, x := range n.Nodes {
				walk(x)
			}
		case *parse.IfNode:
			branch(n.BranchNode)
		case *parse.WithNode:
			branch(n.BranchNode)
		case *parse.RangeNode:
			branch(n.BranchNode)
		case *parse.TemplateNode:
			call(n.Name)
		}
	}
	call = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		one := t.Lookup(name)
		if one == nil || one.Tree == nil {
			missing[name] = true
			return
		}
		walk(one.Root)
	}
	call("body")
	return slices.Sorted(maps.Keys(missing))
}

// Text is a template of the user's, and the option that holds it.
type Text struct{ Option, Text string }

// Texts are those of the given that are there.
func Texts(all ...Text) []Text {
	return slices.DeleteFunc(all, func(t Text) bool { return t.Text == "" })
}
