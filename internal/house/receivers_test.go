package house

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/notify/receivers"
)

// TestEveryReceiverIsKnownEverywhere walks receivers.Kinds through every place that must
// know a kind, and says in one sentence what to add where.
func TestEveryReceiverIsKnownEverywhere(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile("../../" + file)
		if err != nil {
			return ""
		}
		return string(b)
	}
	page, example := read("docs/receivers.md"), exampleSections(t)
	mistaken := map[string]bool{}
	for _, m := range regexp.MustCompile(`: receivers\.(\w+)`).FindAllStringSubmatch(
		read("pkg/config/testdata/messages.golden"), -1) {
		mistaken[m[1]] = true
	}
	var kinds, sections []string
	for _, k := range receivers.Kinds() {
		wants := func(holds bool, format string, args ...any) {
			t.Helper()
			if !holds {
				t.Errorf("receiver %q: %s", k.Name, fmt.Sprintf(format, args...))
			}
		}
		wants(k.Title != "" && k.Help != "" && k.Acknowledged != "",
			"fill Title, Help and Acknowledged of its row in receivers.Kinds: docs/receivers.md says them")
		wants(len(k.Sections) > 0, "say in the field Sections of its row in receivers.Kinds by which keys it is "+
			"configured")
		wants(read("pkg/notify/"+k.Name+"/"+k.Name+".go") != "", "put its constructor into pkg/notify/%s/%s.go", k.Name,
			k.Name)
		wants(read("pkg/notify/"+k.Name+"/"+k.Name+"_test.go") != "", "put its tests into pkg/notify/%s/%s_test.go",
			k.Name, k.Name)
		kinds = append(kinds, k.Name)
		wants(slices.Contains(recorders.Receivers(), k.Name),
			"give it a recorder in internal/recorders and its name %q a place in recorders.Receivers: its tests, those of "+
				"all receivers (pkg/notify/receivers/contract_test.go, pkg/outbox/modes_test.go) and the demo need one",
			k.Name)
		wants(strings.Contains(page, receiverRow(k)), "give it this row in the first table of docs/receivers.md:\n%s",
			receiverRow(k))
		wants(strings.Contains(page, "\n## "+k.Title+"\n"), "describe it in docs/receivers.md in a section ## %s", k.Title)
		for _, s := range k.Sections {
			sections = append(sections, s)
			wants(slices.Contains(config.ReceiverSections(), s),
				"give config.Receivers (pkg/config/types.go) a field with the YAML key %s; "+
					"what must hold of its options are the methods of ReceiverOptions in pkg/config/receiver.go", s)
			wants(mistaken[s], "give a mistake in its options a file pkg/config/testdata/bad-*.yaml: receivers.%s is in no "+
				"message of messages.golden", s)
			wants(strings.Contains(read("docs/configuration.md"), "\n| `"+s+"` |"),
				"bring docs/configuration.md and the schema up to date: go test ./pkg/config -run Reference -update")
			wants(inSchema(t, read("configs/watchdog.schema.json"), s),
				"bring configs/watchdog.schema.json up to date: go test ./pkg/config -run Reference -update")
			wants(inSchema(t, read("deploy/helm/watchdog/values.schema.json"), s),
				"bring the chart's schema up to date: go test -tags integration ./test/chart -run Schema -update")
			wants(example[s], "give configs/receivers.yaml an example of %s", s)
		}
	}
	if row := pagingRow(); !strings.Contains(read("docs/check.md"), row) {
		t.Errorf("the row no-pager of docs/check.md does not end in %q, as Wakes of receivers.Kinds says", row)
	}
	for _, name := range recorders.Receivers() {
		if !slices.Contains(kinds, name) {
			t.Errorf("recorders.Receivers names %q: remove it, or give it a row in receivers.Kinds", name)
		}
	}
	for _, s := range config.ReceiverSections() {
		if !slices.Contains(sections, s) {
			t.Errorf("receivers.%s: give it a row in receivers.Kinds (pkg/notify/receivers/kinds.go), or a place in "+
				"the Sections of one", s)
		}
	}
}

// receiverRow is the row of a kind in docs/receivers.md.
func receiverRow(k receivers.Kind) string {
	return fmt.Sprintf("| %s | `%s` | %s | %s |", k.Title, strings.Join(k.Sections, "`, `"), k.Help, k.Acknowledged)
}

// pagingRow is the end of docs/check.md's row about receivers that page.
func pagingRow() string {
	titles := map[bool][]string{}
	for _, k := range receivers.Kinds() {
		titles[k.Wakes] = append(titles[k.Wakes], k.Title)
	}
	return fmt.Sprintf("without a receiver that pages: %s; not %s |", strings.Join(titles[true], ", "),
		strings.Join(titles[false], ", "))
}

// exampleSections are the kinds that configs/receivers.yaml shows.
func exampleSections(t *testing.T) map[string]bool {
	t.Helper()
	c, err := config.Load("../../configs/receivers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, r := range c.Receivers.All() {
		all[r.Section] = true
	}
	return all
}

// inSchema reports whether a schema knows a key below receivers.
func inSchema(t *testing.T, text, section string) bool {
	t.Helper()
	var s struct {
		Definitions struct {
			Receivers struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s.Definitions.Receivers.Properties[section] != nil
}
