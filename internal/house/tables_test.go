package house

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/backtest"
	"watchdog.io/watchdog/internal/sim"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/probes"
	"watchdog.io/watchdog/pkg/remediate"
)

var update = flag.Bool("update", false, "write docs/actions.md anew")

// The open sets of watchdog have one table each: probes.Kinds, remediate.Actions and
// remediate.Guards. These tests walk each row through every place that must know it, and
// say in one sentence what to add where. CONTRIBUTING.md has an example of each.

// TestEveryProbeKindIsKnownEverywhere walks probes.Kinds.
func TestEveryProbeKindIsKnownEverywhere(t *testing.T) {
	var names []string
	for _, k := range probes.Kinds() {
		names = append(names, k.Name)
		wants := want(t, "probe kind %q", k.Name)
		wants(k.Help != "", "say in the field Help of its row in probes.Kinds how it looks")
		wants(slices.Contains([]string{probes.SourceProbe, probes.SourceApp}, k.Source),
			"say in the field Source of its row in probes.Kinds who speaks: SourceProbe or SourceApp")
		wants(exists("pkg/probes/"+k.Name+".go"), "put its constructor into pkg/probes/%s.go", k.Name)
		wants(heads(k.Name), "give it a column in the table \"What a look means\" of pkg/probes/doc.go")

		wants(slices.Contains(config.ProbeKinds(), k.Name),
			"give config.Probe (pkg/config/types.go) a field with the YAML key %s, and its options a struct "+
				"that embeds Look; what must hold of them is its method check in pkg/config/probe.go", k.Name)
		wants(strings.Contains(section("docs/configuration.md", "Probe"), "| `"+k.Name+"` |"),
			"bring docs/configuration.md and the schema up to date: go test ./pkg/config -run Reference -update")
		wants(has(schema(t, "configs/watchdog.schema.json"), "definitions", "Probe", "properties", k.Name),
			"bring configs/watchdog.schema.json up to date: go test ./pkg/config -run Reference -update")
		wants(has(schema(t, chart+"values.schema.json"), "definitions", "Probe", "properties", k.Name),
			"bring the chart's schema up to date: go test -tags integration ./test/chart -run Schema -update")
		wants(slices.Contains(probesOf(t, "configs/probes.yaml"), k.Name),
			"give configs/probes.yaml an example of it, with every option")

		for _, prefix := range k.Writes {
			wants(strings.Contains(textOf("docs/metrics.md"), "\n| `"+prefix),
				"document the metrics %s… in docs/metrics.md, or remove them from the field Writes of its row in "+
					"probes.Kinds", prefix)
		}
		wants(sim.PlaysProbe(k.Name) || k.NotSimulated != "",
			"say in internal/sim/answers.go what the simulated application answers, or in the field NotSimulated of "+
				"its row why that is not played")
		wants(!sim.PlaysProbe(k.Name) || k.NotSimulated == "",
			"it is played by internal/sim/answers.go: remove NotSimulated from its row in probes.Kinds")
	}
	for _, name := range config.ProbeKinds() {
		want(t, "probe kind %q", name)(slices.Contains(names, name),
			"give it a row in probes.Kinds (pkg/probes/kinds.go): config.Probe has an option for it")
	}
}

// TestEveryActionIsKnownEverywhere walks remediate.Actions.
func TestEveryActionIsKnownEverywhere(t *testing.T) {
	options := yamlKeys(reflect.TypeFor[config.RungOptions]())
	taken, values := map[string]bool{}, textOf(chart+"values.yaml")
	values = values[strings.Index(values, "\nactions:\n"):]
	values = values[:strings.Index(values, "\n\n")]
	admission := textOf(chart+"templates/_admission.tpl") + textOf(chart+"templates/admission-workloads.yaml") +
		textOf(chart+"templates/admission-others.yaml") + textOf(chart+"templates/admission-autoscalers.yaml")
	for _, a := range remediate.Actions() {
		name := string(a.Name)
		wants := want(t, "action %q", a.Name)
		wants(a.Help != "" && a.Verb != "" && a.Past != "",
			"fill Help, Verb and Past of its row in remediate.Actions: reports say them")
		wants(exists("pkg/remediate/"+name+".go"), "put its plan into pkg/remediate/%s.go", name)
		for _, o := range a.Options {
			taken[o] = true
			wants(slices.Contains(options, o),
				"give config.RungOptions (pkg/config/types.go) the option %q that its row in remediate.Actions takes",
				o)
		}
		wants(slices.Contains(config.Actions(), name), "let config.Actions give it")
		wants(len(loads(t, rung(a))) == 0, "let a ladder with it load: %s", strings.Join(loads(t, rung(a)), "; "))
		wants(has(schema(t, "configs/watchdog.schema.json"), "definitions", "Rung", "anyOf", "1", "properties", name),
			"bring configs/watchdog.schema.json up to date: go test ./pkg/config -run Reference -update")
		wants(has(schema(t, chart+"values.schema.json"), "definitions", "Rung", "anyOf", "1", "properties", name),
			"bring the chart's schema up to date: go test -tags integration ./test/chart -run Schema -update")
		wants(shown(t)[a.Name], "use it in a ladder of an example in configs/")
		wants(sim.PlaysAction(a.Name) || a.NotSimulated != "",
			"teach internal/sim/plays.go what its write does and what it can end, or say in the field NotSimulated "+
				"of its row why that is not played")
		wants(!sim.PlaysAction(a.Name) || a.NotSimulated == "",
			"it is played (internal/sim/plays.go): remove NotSimulated from its row in remediate.Actions")
		if !a.Writes() {
			wants(len(a.Rights) == 0, "it writes nothing (class C%d): remove Rights from its row in remediate.Actions",
				a.Class)
			continue
		}
		wants(len(a.Rights) > 0, "say in the field Rights of its row in remediate.Actions what RBAC must allow")
		for _, o := range []string{"settle", "verify", "mode", "approvals", "cool_off"} {
			wants(slices.Contains(a.Options, o),
				"let its row in remediate.Actions take the option %s: every action that writes does", o)
		}
		wants(strings.Contains(values, "\n  "+name+": false"),
			"give the value actions in %svalues.yaml the key %s: false", chart, name)
		wants(has(schema(t, chart+"values.schema.json"), "properties", "actions", "properties", name),
			"give properties.actions in %svalues.schema.json the key %s", chart, name)
		wants(strings.Contains(textOf(chart+"templates/_rbac.tpl"), "$act."+name),
			"grant its Rights in watchdog.targetRules of %stemplates/_rbac.tpl if $act.%s; test/chart compares "+
				"them with its row", chart, name)
		wants(strings.Contains(admission, "$act."+name) || strings.Contains(admission, `"actions" "`+name+`"`),
			"let an admission policy of %stemplates take what it writes if $act.%s: without that the API server "+
				"refuses it", chart, name)
		_, err := backtest.ParseAssertion(fmt.Sprintf("would{action=%q} == 0", a.Name))
		wants(err == nil, "let `watchdog backtest --assert` count it: %v", err)
	}
	for _, o := range options {
		want(t, "option %q of a rung", o)(taken[o],
			"let a row of remediate.Actions take it, or remove it from config.RungOptions")
	}
	for _, m := range regexp.MustCompile(`\n  ([a-z]+): (?:true|false)`).FindAllStringSubmatch(values, -1) {
		a, known := remediate.ActionOf(incident.Action(m[1]))
		want(t, "value actions.%s of the chart", m[1])(known && a.Writes(),
			"give it a row in remediate.Actions, or remove it from %svalues.yaml", chart)
	}
	current(t, remediation())
}

// olderGuards are the files of guards that are older than the rule that a guard has a mutant, and the ledger's.
var olderGuards = []string{"silence", "maintenance", "stale", "externalalert", "settling", "paused", "target", "pdb",
	"ledger"}

// TestEveryGuardIsKnownEverywhere walks remediate.Guards.
func TestEveryGuardIsKnownEverywhere(t *testing.T) {
	tests := ""
	for _, file := range files(t, "pkg/remediate/*_test.go") {
		tests += textOf(file)
	}
	for _, g := range remediate.Guards() {
		wants := want(t, "guard %q", g.Name)
		wants(g.Help != "", "say in the field Help of its row in remediate.Guards when it lets pass")
		row := regexp.MustCompile(`"` + regexp.QuoteMeta(g.Name) + `",\s+incident\.`)
		holds := row.MatchString(tests) || strings.Contains(tests, `a.Guard != "`+g.Name+`"`)
		wants(holds, "give TestGuardsHold (pkg/remediate/guards_test.go) a row in which it holds")
		_, err := backtest.ParseAssertion(fmt.Sprintf("held{guard=%q} == 0", g.Name))
		wants(err == nil, "let `watchdog backtest --assert` count it: %v", err)
	}
	mutants := textOf("internal/mutants/list_test.go")
	for _, file := range files(t, "pkg/remediate/guard_*.go") {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "guard_"), ".go")
		if !strings.HasSuffix(file, "_test.go") && !slices.Contains(olderGuards, name) {
			want(t, "%s", file)(strings.Contains(mutants, `"`+file+`"`),
				"add a bug in it to internal/mutants/list_test.go that a test must find, and write it down: make "+
					"mutants TABLE=1")
		}
	}
	current(t, remediation())
}

// remediation is docs/actions.md.
func remediation() string {
	var b strings.Builder
	b.WriteString(`# Actions and guards

What a ladder can do, and which guards must allow it. This page is generated from the tables ` +
		"`remediate.Actions` and `remediate.Guards`" + `:
` + "`go test ./internal/house -run KnownEverywhere -update`" + `.

## Actions

The class states how disruptive an action is: C0 captures evidence, C1 pages a person, C2 adds, C3 replaces pods, C4 changes what runs. ` +
		`C2 and above need
the chart's value ` + "`actions.NAME`" + `, which grants its rights. [Options](configuration.md#rungoptions), [approvals](approvals.md).

| action | class | what it does | options | rights beyond reading | simulated |
|---|---|---|---|---|---|
`)
	for _, a := range remediate.Actions() {
		var rights []string
		for _, r := range a.Rights {
			rights = append(rights, fmt.Sprintf("%s %s", strings.Join(r.Verbs, ", "), r.Resource))
		}
		simulated := "yes"
		if a.NotSimulated != "" {
			simulated = "no: " + a.NotSimulated
		}
		fmt.Fprintf(&b, "| `%s` | C%d | %s | %s | %s | %s |\n", a.Name, a.Class, a.Help, codes(a.Options),
			strings.Join(rights, "; "), simulated)
	}
	b.WriteString(`
## Guards

Each guard answers with its reason and its figures, also when it passes; one that cannot decide holds. ` +
		"`watchdog why`" + ` shows all of them. The ledger's own
limits come first: ` + codes(remediate.LedgerGuardNames()) + `.

| guard | from class | passes if | also before a revert |
|---|---|---|---|
`)
	for _, g := range remediate.Guards() {
		fmt.Fprintf(&b, "| `%s` | C%d | %s | %s |\n", g.Name, g.From, g.Help, map[bool]string{true: "yes"}[g.Reverts])
	}
	return b.String()
}

func codes(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

func current(t *testing.T, text string) {
	t.Helper()
	const file = "docs/actions.md"
	if *update {
		if err := os.WriteFile("../../"+file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if textOf(file) != text {
		t.Errorf("bring %s up to date: go test ./internal/house -run KnownEverywhere -update", file)
	}
}

// rung is a configuration with a rung of the action, with as much as each option needs.
func rung(a remediate.Action) string {
	value := map[string]string{"by": "25%", "max": "20", "template": "clean-cache", "settle": "1m", "verify": "10m",
		"lease": "2h", "at_least": "2",
		"attempts": "2", "mode": "approve", "approvals": "2", "cool_off": "10s", "only_if": "suspect_deploy"}
	var given []string
	for _, o := range a.Options {
		if value[o] != "" {
			given = append(given, o+": "+value[o])
		}
	}
	ladder := "- page"
	if a.Name != incident.ActionPage {
		ladder = fmt.Sprintf("- %s: {%s}\n      - page", a.Name, strings.Join(given, ", "))
	}
	return "job_templates: {clean-cache: {file: jobs/clean-cache.yaml}}\nthresholds:\n  - metric: memory\n    " +
		"ladder:\n      " + ladder + "\n"
}

// loads returns what is wrong with a configuration.
func loads(t *testing.T, text string) (wrong []string) {
	t.Helper()
	_, err := config.Parse("../../configs/made.yaml", []byte(text))
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// shown are the actions of the ladders in configs/.
func shown(t *testing.T) map[incident.Action]bool {
	t.Helper()
	all := map[incident.Action]bool{}
	for _, file := range files(t, "configs/*.yaml") {
		c := loaded(t, file)
		var ladders [][]config.Rung
		for _, x := range c.Thresholds {
			ladders = append(ladders, x.Ladder)
		}
		for _, x := range c.Routes {
			ladders = append(ladders, x.Ladder)
		}
		for _, r := range slices.Concat(ladders...) {
			all[r.Action] = true
		}
	}
	return all
}

func probesOf(t *testing.T, file string) (kinds []string) {
	t.Helper()
	for _, x := range loaded(t, file).Targets {
		for _, p := range x.Probes {
			kinds = append(kinds, p.Kind())
		}
	}
	return kinds
}

func loaded(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Load("../../" + file)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

const chart = "deploy/helm/watchdog/"

// want returns a check of one row: what does not hold is an error that says what to do.
func want(t *testing.T, format string, args ...any) func(holds bool, format string, args ...any) {
	row := fmt.Sprintf(format, args...)
	return func(holds bool, format string, args ...any) {
		t.Helper()
		if !holds {
			t.Errorf("%s: %s", row, fmt.Sprintf(format, args...))
		}
	}
}

func textOf(file string) string {
	b, err := os.ReadFile("../../" + file)
	if err != nil {
		return ""
	}
	return string(b)
}

func exists(file string) bool { return textOf(file) != "" }

func files(t *testing.T, pattern string) (all []string) {
	t.Helper()
	found, err := filepath.Glob("../../" + pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing matches %s: %v", pattern, err)
	}
	for _, f := range found {
		all = append(all, strings.TrimPrefix(filepath.ToSlash(f), "../../"))
	}
	return all
}

// section is the text below a heading of a page, up to the next one.
func section(file, heading string) string {
	_, text, _ := strings.Cut(textOf(file), "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// heads reports whether the table of what a look means has a column for the kind.
// heads reports whether a table of pkg/probes/doc.go has a column for a kind.
func heads(kind string) bool {
	for line := range strings.Lines(textOf("pkg/probes/doc.go")) {
		if strings.Contains(line, "what happened") && slices.Contains(strings.FieldsFunc(line, func(r rune) bool {
			return r == ' ' || r == ',' || r == '\n'
		}), kind) {
			return true
		}
	}
	return false
}

func schema(t *testing.T, file string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(textOf(file)), &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// has reports whether there is something at a path of a JSON document.
func has(v any, path ...string) bool {
	for _, key := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			if k := strings.Index("0123456789", key); k < len(x) && k >= 0 {
				v = x[k]
				continue
			}
			return false
		default:
			return false
		}
	}
	return v != nil
}

func yamlKeys(of reflect.Type) (keys []string) {
	for f := range of.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}
