package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md and configs/watchdog.schema.json anew")

const (
	referenceFile = "../../docs/configuration.md"
	schemaFile    = "../../configs/watchdog.schema.json"
)

// shape is what the sources say of the file's structs: fields, YAML keys, comments.
type shape struct {
	structs map[string][]field
	docs    map[string]string
}

type field struct {
	key, kind, doc   string
	inline, required bool
}

func readShape(t *testing.T) shape {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	s := shape{map[string][]field{}, map[string]string{}}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			ts := spec.(*ast.TypeSpec)
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			s.docs[ts.Name.Name] = strings.TrimSpace(g.Doc.Text())
			s.structs[ts.Name.Name] = fields(st)
		}
	}
	return s
}

func fields(st *ast.StructType) []field {
	var all []field
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		key, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
		if key == "-" {
			continue
		}
		doc := strings.Join(strings.Fields(f.Doc.Text()), " ")
		if d := strings.TrimSpace(f.Comment.Text()); d != "" {
			doc = d
		}
		// A reader of the file does not know Go's name of the field.
		if len(f.Names) == 1 {
			for _, verb := range []string{" is ", " are "} {
				doc = strings.TrimPrefix(doc, f.Names[0].Name+verb)
			}
		}
		all = append(all, field{key: key, kind: kindOf(f.Type), doc: doc, inline: strings.Contains(options, "inline"),
			required: !strings.Contains(options, "omitempty") && options != "inline"})
	}
	return all
}

func kindOf(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return kindOf(x.X)
	case *ast.ArrayType:
		return "list of " + kindOf(x.Elt)
	case *ast.MapType:
		return "map of " + kindOf(x.Value)
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.Ident:
		return x.Name
	}
	return "?"
}

// words of the file for Go's types.
var words = map[string]string{"string": "text", "int": "number", "float64": "number", "bool": "true or false",
	"Duration": "duration: 5m", "Quantity": "quantity: 500ms, 0.1%, 2", "Rate": "rate: 3/1h",
	"Mode": "observe, suggest, approve or auto", "Severity": "P0, P1, P2 or P3", "Switch": "text"}

func (s shape) word(kind string) string {
	for _, of := range []string{"list of ", "map of "} {
		if rest, ok := strings.CutPrefix(kind, of); ok {
			return of + s.word(rest)
		}
	}
	if w, ok := words[kind]; ok {
		return w
	}
	return fmt.Sprintf("[%s](#%s)", strings.ToLower(kind), strings.ToLower(kind))
}

// order in which a reader meets the parts of a file.
var order = []string{"Config", "Prometheus", "BasicAuth", "Authorization", "HTTPHeader", "TLSConfig", "Alertmanager",
	"Sender", "Silences", "Target", "Probe", "Look", "HTTPClient", "HealthProbe", "SLAProbe", "AgentsProbe",
	"HTTPProbe", "JSONExpectation", "TCPProbe", "TLSClient", "RedisProbe", "PostgresProbe", "TLSProbe", "DNSProbe",
	"Threshold", "SLO", "SelfReport", "Route", "InhibitRule", "Rung", "RungOptions",
	"JobTemplate", "Response", "Step", "ResponsePhase", "NamedTime", "TimeInterval", "TimeRange", "MaintenanceWindow",
	"PublicNote", "Heartbeat", "Canary", "Contact", "Link", "Runbook", "Receivers", "PagerDuty", "Pager",
	"PagerDutyWebhook", "Slack", "SlackInteraction", "Person", "Webhook", "Email", "Statuspage", "API",
	"StatuspageComponent", "StatuspageTemplate", "Budget", "Guards"}

func (s shape) reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

One YAML file. ` + "`watchdog check FILE`" + ` says everything that is wrong with one, with line and what would be right;
` + "`configs/`" + ` has an example per feature; ` +
		"`configs/watchdog.schema.json`" + ` is the JSON schema for editors. The running daemon loads a
changed file by itself, on SIGHUP and on ` + "`POST /-/reload`" +
		`; a file with an error changes nothing. Only ` + "`evaluation_interval`" + ` needs a
restart.

Unknown fields are errors. Secrets are never in the file: ` + "`*_file`" + ` options name files that are read at each use. Nothing in
the file is expanded from the environment. A 0 where none can be meant is an error, too: leave the option out for its default.

This page is generated from the comments in ` + "`pkg/config/types.go`" + ` (` + "`go test ./pkg/config -run Reference -update`" + `).

`)
	all := defaults()
	for _, name := range order {
		b.WriteString("## " + name + "\n\n")
		doc := strings.ReplaceAll(s.docs[name], "\n", " ")
		if name == "Probe" || name == "Rung" {
			doc = s.docs[name]
		}
		b.WriteString(strings.TrimSpace(doc) + "\n\n")
		if name == "Rung" {
			b.WriteString("The options of each action are in [rungoptions](#rungoptions).\n\n")
			continue
		}
		b.WriteString("| option | value | default | meaning |\n|---|---|---|---|\n")
		for _, f := range s.structs[name] {
			if f.inline {
				fmt.Fprintf(&b, "| | | | and all options of [%s](#%s) |\n", strings.ToLower(f.kind),
					strings.ToLower(f.kind))
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.key, s.word(f.kind), defaultOf(all, name, f),
				strings.ReplaceAll(meaning(all, name, f), "|", "\\|"))
		}
		b.WriteString("\n")
	}
	b.WriteString(shippedTable())
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// meaning is the comment without the default, which has its own column.
func meaning(all map[string]string, name string, f field) string {
	d := all[name+"."+f.key]
	if d == "" {
		return f.doc
	}
	clause := regexp.MustCompile(`(?i)(^|\.|;) ?default ` + regexp.QuoteMeta(d) + `(\.|;|$)`)
	return clause.ReplaceAllString(f.doc, "$2")
}

func shippedTable() string {
	var b strings.Builder
	b.WriteString("## Shipped rules\n\nUsed when a file has no `thresholds:`, and completed from by a threshold " +
		"that names a `metric`. All are in mode observe.\n\n| metric | breach | for | clears | for | window | floor " +
		"| severity | ladder |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range table() {
		bound, clear := "> "+r.above, "≤ "+r.clear
		if r.below != "" {
			bound, clear = "< "+r.below, "≥ "+r.clear
		}
		floor := "-"
		if r.minRate > 0 {
			floor = fmt.Sprintf("%v requests/s", r.minRate)
		}
		if r.minRequests > 0 {
			floor = fmt.Sprintf("%v requests", r.minRequests)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.metric, bound, r.wait, clear,
			r.clearFor, r.over, floor, r.severity, strings.Join(r.ladder, " → "))
	}
	b.WriteString("\n`ready_replicas` is not used by default. `disk` is the runbook's sixth row: it needs an `expr` " +
		"over Prometheus, because where it is measured\ndiffers (configs/prometheus.yaml).\n")
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	s := readShape(t)
	for name := range s.structs {
		if name != "Quantity" && name != "Rate" && name != "Switch" && !contains(order, name) {
			t.Errorf("%s has no section in docs/configuration.md; add it to order", name)
		}
	}
	for file, want := range map[string]string{referenceFile: s.reference(), schemaFile: s.schema()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not what the sources say; run go test ./pkg/config -run Reference -update", file)
		}
	}
}

func TestAStatedDefaultIsTheRealOne(t *testing.T) {
	real := defaults()
	for name, fields := range readShape(t).structs {
		for _, f := range fields {
			_, stated, ok := strings.Cut(strings.ToLower(f.doc), "default ")
			if d := real[name+"."+f.key]; ok && d != "" && !strings.HasPrefix(stated, strings.ToLower(d)) {
				t.Errorf("%s.%s: types.go says %q, the code uses %s", name, f.key, f.doc, d)
			}
		}
	}
}

func TestEveryOptionIsExplained(t *testing.T) {
	for name, fields := range readShape(t).structs {
		for _, f := range fields {
			if f.doc == "" && !f.inline && name != "Receivers" && name != "Probe" {
				t.Errorf("%s.%s has no comment in types.go", name, f.key)
			}
		}
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
