package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// section is the part of a file that is one Prometheus rule file: the whole file,
// or the spec of one of its PrometheusRule manifests.
type section struct {
	text []byte
	// above and left are by how many lines and columns text begins later than the
	// file does.
	above, left int
	root        *yaml.Node // with the file's own places; nil if the text is no YAML
	// manifest is the namespace and name of the PrometheusRule; empty: a plain file.
	manifest string
}

// sections splits a rule file into what Prometheus would read as files of their own.
// A Prometheus rule file is one document. Manifests of the Prometheus Operator come
// as one or more documents, or as items of a List.
func sections(path string, text []byte) ([]section, error) {
	docs, empty, err := documents(text)
	if err != nil || len(docs) == 0 {
		return []section{{text: text}}, nil // rulefmt says what is wrong, with its place
	}
	var all []section
	for i, d := range docs {
		kind := scalar(d, "kind")
		switch {
		case kind == "" && empty:
			return nil, fmt.Errorf("%s:%d:%d: the first YAML document is empty, and Prometheus reads no other: "+
				"remove the \"---\" before it", path, d.Line, d.Column)
		case kind == "" && len(docs) == 1:
			all = append(all, section{text: text, root: d})
		case kind == "":
			return nil, fmt.Errorf("%s:%d:%d: more than one YAML document; a Prometheus rule file is one document "+
				"(several are read if all are PrometheusRule manifests)", path, max(1, docs[max(1, i)].Line),
				max(1, docs[max(1, i)].Column))
		case strings.HasSuffix(kind, "List"):
			items := field(d, "items")
			if items == nil || items.Kind != yaml.SequenceNode {
				return nil, fmt.Errorf("%s:%d:%d: the %s has no items", path, d.Line, d.Column, kind)
			}
			for _, m := range items.Content {
				s, err := manifest(path, text, m)
				if err != nil {
					return nil, err
				}
				all = append(all, s)
			}
		default:
			s, err := manifest(path, text, d)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// documents are the roots of a file's YAML documents but for empty ones, and whether one
// of those comes first.
func documents(text []byte) (all []*yaml.Node, empty bool, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all, empty, nil
		}
		if err != nil {
			return nil, false, err
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 && doc.Content[0].Tag != "!!null" {
			all = append(all, doc.Content[0])
		} else {
			empty = empty || len(all) == 0
		}
	}
}

// manifest takes the rules out of a PrometheusRule manifest.
func manifest(path string, text []byte, m *yaml.Node) (section, error) {
	if kind := scalar(m, "kind"); kind != "PrometheusRule" {
		return section{}, fmt.Errorf("%s:%d:%d: the manifest is a %s; a rule file is a Prometheus rule file or a "+
			"PrometheusRule", path, m.Line, m.Column, cmp.Or(kind, "document without a kind"))
	}
	spec := field(m, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return section{}, fmt.Errorf("%s:%d:%d: the PrometheusRule has no spec", path, m.Line, m.Column)
	}
	name := "PrometheusRule"
	if meta := field(m, "metadata"); meta != nil {
		name = scalar(meta, "namespace") + "/" + scalar(meta, "name")
	}
	if spec.Style&yaml.FlowStyle != 0 {
		out, err := yaml.Marshal(spec)
		if err != nil {
			return section{}, fmt.Errorf("%s:%d:%d: the PrometheusRule's spec: %w", path, spec.Line, spec.Column, err)
		}
		return section{text: out, root: spec, manifest: name}, nil
	}
	// The lines of the spec as they stand, so that places in them can be named.
	lines := strings.SplitAfter(string(text), "\n")
	from, indent := spec.Line-1, spec.Column-1
	to := from
	for to < len(lines) && (blank(lines[to]) || indented(lines[to], indent)) {
		to++
	}
	var b strings.Builder
	for _, l := range lines[from:to] {
		b.WriteString(l[min(indent, len(l)-len(strings.TrimLeft(l, " "))):])
	}
	return section{text: []byte(b.String()), above: from, left: indent, root: spec, manifest: name}, nil
}

// The fields of Prometheus' rule files.
var (
	fileFields  = []string{"groups"}
	groupFields = []string{"interval", "labels", "limit", "name", "query_offset", "rules"}
	ruleFields  = []string{"alert", "annotations", "expr", "for", "keep_firing_for", "labels", "record"}
)

// siblings are the fields that others who read Prometheus' rule files have added,
// and by whom they are understood.
var siblings = map[string]map[string]string{
	"file": {"namespace": "Mimir"},
	"group": {
		"partial_response_strategy": "Thanos",
		"source_tenants":            "Mimir", "evaluation_delay": "Mimir", "align_evaluation_time_on_interval": "Mimir",
		"remote_write": "Mimir",
		"type":         "vmalert", "concurrency": "vmalert", "params": "vmalert", "headers": "vmalert",
		"notifier_headers": "vmalert", "tenant": "vmalert",
		"eval_offset": "vmalert", "eval_delay": "vmalert", "eval_alignment": "vmalert",
		"extra_filter_labels": "vmalert", "debug": "vmalert",
	},
	"rule": {"debug": "vmalert", "update_entries_limit": "vmalert"},
}

// Ignored is a field of a rule file that watchdog leaves aside, as Prometheus does
// not have it.
type Ignored struct {
	Line  int
	Field string
	// By is who understands it: Thanos, Mimir, vmalert.
	By string
}

// unknown looks for fields that Prometheus does not have: those of siblings are
// returned, others are errors.
func (s section) unknown(path string) (ignored []Ignored, errs []error) {
	look := func(n *yaml.Node, what string, known []string) {
		if n.Kind != yaml.MappingNode {
			return // rulefmt says so
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			by := siblings[what][k.Value]
			switch {
			case k.Tag == "!!merge" || slices.Contains(known, k.Value):
			case k.Value == "type" && by != "" && v.Value != "prometheus" && v.Value != "":
				errs = append(errs, fmt.Errorf("%s:%d:%d: the group's type is %s; only rules in PromQL can be evaluated",
					path, k.Line, k.Column, v.Value))
			case by != "":
				ignored = append(ignored, Ignored{k.Line, k.Value, by})
			default:
				errs = append(errs, fmt.Errorf("%s:%d:%d: unknown field %q in a %s; expected one of: %s", path, k.Line,
					k.Column, k.Value, what, strings.Join(known, ", ")))
			}
		}
	}
	if s.root == nil {
		return nil, nil
	}
	look(s.root, "file", fileFields)
	for _, g := range list(field(s.root, "groups")) {
		look(g, "group", groupFields)
		for _, r := range list(field(g, "rules")) {
			look(r, "rule", ruleFields)
		}
	}
	return ignored, errs
}

// field is what a mapping holds under a key, with aliases followed; nil: nothing.
func field(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return dereferenced(n.Content[i+1])
		}
	}
	return nil
}

func scalar(n *yaml.Node, key string) string {
	if v := field(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// list are the members of a sequence, with aliases followed.
func list(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	var all []*yaml.Node
	for _, c := range n.Content {
		all = append(all, dereferenced(c))
	}
	return all
}

func dereferenced(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// merged are a group's labels with the rule's own over them. An empty value stays: it
// drops the label from what the expression gives.
func merged(group, rule map[string]string) map[string]string {
	all := maps.Clone(group)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, rule)
	return all
}
