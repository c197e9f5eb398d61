package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/maintenance"
)

const windowsPath = "/apis/watchdog.io/v1alpha1/namespaces/watchdog/maintenancewindows/"

func TestAPersonsPartAndWatchdogsPartOfAWindowAreApart(t *testing.T) {
	a, c := newAPI(t)
	s := NewStore(c, "watchdog")
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	spec := maintenance.Spec{From: at, Until: at.Add(time.Hour), Targets: []string{"shop"},
		Effects: maintenance.Effects{Page: maintenance.PageHold}, Reason: "move", By: "alice"}
	if err := s.CreateWindow(t.Context(), "db", spec); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateWindow(t.Context(), "db", spec); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("created twice: %v", err)
	}
	all, odd, err := s.Windows(t.Context())
	if err != nil || odd != nil || len(all) != 1 || all[0].Name != "db" {
		t.Fatalf("%+v, %v, %v", all, odd, err)
	}
	if d := cmp.Diff(spec, all[0].Spec); d != "" {
		t.Error(d)
	}
	if stored := a.get(windowsPath + "db")["spec"].(map[string]any); stored["page"] != "hold" {
		t.Errorf("the effects are not beside the rest: %v", stored)
	}
	st := maintenance.Status{Phase: maintenance.Active, First: spec.Until,
		Pages: maintenance.Account{Held: []string{"01a"}, Delivered: 2}}
	version, err := s.SaveWindowStatus(t.Context(), "db", all[0].Version, st)
	if err != nil {
		t.Fatal(err)
	}
	spec.Until = spec.Until.Add(time.Hour)
	if err := s.ChangeWindow(t.Context(), "db", all[0].Version, spec); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("changed under an old version: %v", err)
	}
	if err := s.ChangeWindow(t.Context(), "db", version, spec); err != nil {
		t.Fatal(err)
	}
	all, _, _ = s.Windows(t.Context())
	if d := cmp.Diff(st, all[0].Status); d != "" || !all[0].Spec.Until.Equal(spec.Until) {
		t.Errorf("until %s, %s", all[0].Spec.Until, d)
	}
}

func TestAWindowThatCannotBeReadHidesNoOther(t *testing.T) {
	a, c := newAPI(t)
	a.put(windowsPath+"bad",
		`{"apiVersion":"watchdog.io/v1alpha1","kind":"MaintenanceWindow","spec":{"from":"tomorrow"}}`)
	a.put(windowsPath+"good",
		`{"apiVersion":"watchdog.io/v1alpha1","kind":"MaintenanceWindow","spec":{"from":"2026-01-01T12:00:00Z",`+
			`"until":"2026-01-01T13:00:00Z"}}`)
	all, odd, err := NewStore(c, "watchdog").Windows(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "good" || odd == nil ||
		!strings.Contains(odd.Error(), "watchdog/bad") || !strings.Contains(odd.Error(), "has no effect") {
		t.Errorf("%+v, %v, %v", all, odd, err)
	}
}
