package house

import (
	"regexp"
	"strings"
	"testing"
)

// TestEveryShippedAlertLeadsToItsRunbook: an alert of the chart says by its runbook_url where
// docs/paged.md explains it, and docs/paged.md explains no other alert.
func TestEveryShippedAlertLeadsToItsRunbook(t *testing.T) {
	const base = "https://watchdog.io/watchdog/docs/paged.md#"
	page := read(t, "../../docs/paged.md")
	sections := anchors(page)
	_, explained, _ := strings.Cut(page, "\n## Alerts of Prometheus on watchdog\n")
	alert := regexp.MustCompile(`(?ms)^ +- alert: (\w+)$(.*?)(?:^ +- alert|\z)`)
	text, names := read(t, "../../deploy/helm/watchdog/rules/watchdog.yaml"), 0
	for m := alert.FindStringSubmatch(text); m != nil; m = alert.FindStringSubmatch(text) {
		names++
		anchor := strings.ToLower(m[1])
		if !strings.Contains(m[2], "runbook_url: "+base+anchor+"\n") || !sections[anchor] {
			t.Errorf("%s: want runbook_url: %s%s, and the heading in docs/paged.md", m[1], base, anchor)
		}
		text = text[strings.Index(text, "alert: "+m[1])+len(m[1]):]
	}
	if headings := strings.Count(explained, "\n### "); names == 0 || headings != names {
		t.Errorf("%d alerts are shipped, docs/paged.md explains %d", names, headings)
	}
}

// TestTheGlossaryIsReached: docs/README.md links the glossary, and each of its terms is there once.
func TestTheGlossaryIsReached(t *testing.T) {
	if !strings.Contains(read(t, "../../docs/README.md"), "(glossary.md)") {
		t.Error("docs/README.md does not link glossary.md")
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \|[^|]+\|[^|]+\|$`).FindAllStringSubmatch(read(t,
		"../../docs/glossary.md"), -1) {
		if term := m[1]; seen[term] && term != "term" && term != "---" {
			t.Errorf("%s is explained twice", term)
		}
		seen[m[1]] = true
	}
	for _, term := range []string{
		"ladder", "rung", "hold", "canary", "quarantine", "why", "undo", "resume", "guard", "settle", "op", "ledger",
		"storm",
		"lease (of a change)", "verdict (of a rule)", "verdict (of an op)",
	} {
		if !seen[term] {
			t.Errorf("docs/glossary.md does not explain %s", term)
		}
	}
}

// TestEveryDecisionIsInTheIndex: docs/adr/README.md has a row for each record, with its title.
func TestEveryDecisionIsInTheIndex(t *testing.T) {
	index := read(t, "../../docs/adr/README.md")
	for _, file := range glob(t, "../../docs/adr/[0-9]*.md") {
		name := file[strings.LastIndex(file, "/")+1:]
		title, _, _ := strings.Cut(strings.TrimPrefix(read(t, file), "# "+name[:3]+": "), "\n")
		if row := "| [" + name[:3] + "](" + name + ") | " + title + " |\n"; !strings.Contains(index, row) {
			t.Errorf("docs/adr/README.md lacks the row %s", row)
		}
	}
}
