package main

import (
	"bytes"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"watchdog.io/watchdog/pkg/incident"
)

// A whole ID is what a page and a button give: of ten thousand incidents, one is read.
func TestAnIncidentIsFoundWithAsFewReadsAsItsNameAllows(t *testing.T) {
	first, other, frozen := sample(), sample(), sample()
	first.ID, other.ID, frozen.ID = "01jexample000000000000000a", "01jexample000000000000000b", "01jfrozen0000000000000000c"
	other.OpenedAt = first.OpenedAt.Add(-1)
	frozen.Phase, frozen.Shared, frozen.Target.Name, frozen.Target.Workload = incident.Frozen, true, "cart", "cart"
	for _, tt := range []struct {
		args string
		read string
		says string
	}{
		{"why 01jexample000000000000000a", "01jexample000000000000000a", first.ID},
		{"incidents show 01JEXAMPLE000000000000000B", "01jexample000000000000000b", other.ID},
		{"why " + first.Target.Name, "list 01jexample000000000000000a", first.ID},
		{"why 01jf", "list 01jfrozen0000000000000000c list", "wider problem"}, // which other incident it waits for
		{"why 01jexample000000000000000", "list", "2 incidents match"},
		{"why 01jgone0000000000000000000", "01jgone0000000000000000000 list", "no incident"},
	} {
		s := &shelf{t: t, incidents: []incident.Incident{other, first, frozen}}
		srv := httptest.NewServer(s)
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(slices.Concat(strings.Fields(tt.args), []string{"--kubeconfig", kubeconfig(t, srv.URL)}))
		text := ""
		if err := root.ExecuteContext(t.Context()); err != nil {
			text = err.Error()
		}
		srv.Close()
		// The first list is the look for an installation.
		if got := strings.Join(s.asked, " "); got != tt.read {
			t.Errorf("%s: read %q, want %q", tt.args, got, tt.read)
		}
		if text += out.String(); !strings.Contains(text, tt.says) {
			t.Errorf("%s: no %q in %s", tt.args, tt.says, text)
		}
	}
}
