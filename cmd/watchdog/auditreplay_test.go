package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/audit"
	"watchdog.io/watchdog/pkg/decision"
	"watchdog.io/watchdog/pkg/incident"
)

func TestTheAuditRecordIsReplayed_SEC40(t *testing.T) {
	folder := t.TempDir()
	keyFile := filepath.Join(folder, "keys")
	if err := os.WriteFile(keyFile, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ReadKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alert := incident.Alert{Rule: "errors", Severity: incident.P1, Firing: true, Verdict: incident.Breach, Value: 5,
		Bound: 1, Above: true, Reason: "5 > 1", ActiveAt: at, EvaluatedAt: at,
		Ladder: []incident.Rung{{Action: "page", Class: incident.C1}}}
	var scribe decision.Scribe
	inc, _ := scribe.Step(incident.New("i1", incident.Target{Name: "cart", Namespace: "shop", Kind: "deployment",
		Workload: "cart"}, at), incident.Tick{At: at, Alerts: []incident.Alert{alert}}, incident.DefaultPolicy())
	pending, _ := scribe.Pending(inc)
	records := []audit.Record{{At: at, Kind: "config", Actor: "watchdog", Data: decision.Begun()}, pending}
	for _, e := range inc.Timeline {
		records = append(records, audit.Record{At: e.At, Kind: string(e.Kind), Incident: inc.ID,
			Target: inc.Target.String(), Actor: "watchdog", Text: e.Text})
	}
	write := func(name string, change func(n int, r audit.Record) audit.Record) string {
		dir := filepath.Join(folder, name)
		l, err := audit.Open(dir, keys)
		if err != nil {
			t.Fatal(err)
		}
		for n, r := range records {
			if r = change(n, r); r.Kind == "" {
				continue
			}
			if _, err := l.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	good := write("good", func(_ int, r audit.Record) audit.Record { return r })
	changed := write("changed", func(_ int, r audit.Record) audit.Record {
		r.Data = bytes.Replace(r.Data, []byte(`"verdict":"BREACH"`), []byte(`"verdict":"OK"`), 1)
		return r
	})
	old := write("old", func(_ int, r audit.Record) audit.Record {
		if r.Data = nil; r.Kind == decision.Kind {
			return audit.Record{}
		}
		return r
	})
	newer := write("newer", func(_ int, r audit.Record) audit.Record {
		r.Data = bytes.Replace(r.Data, fmt.Appendf(nil, `"format":%d`, decision.Format), []byte(`"format":99`), 1)
		return r
	})
	export := filepath.Join(folder, "export.jsonl")
	b, err := os.ReadFile(filepath.Join(good, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(folder, "torn.jsonl")
	for path, text := range map[string][]byte{export: b, torn: bytes.Replace(b, []byte("5 \\u003e 1"),
		[]byte("6 \\u003e 1"), 1)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		code int
		want []string
		not  string
	}{
		{[]string{good, "--key-file", keyFile}, 0, []string{"all records are sealed with a key",
			"1 decision of 1 incident replayed: all identical"}, "difference"},
		{[]string{export, "--key-file", keyFile}, 0, []string{"1 decision of 1 incident replayed: all identical"},
			"difference"},
		{[]string{changed, "--key-file", keyFile}, 1,
			[]string{`record 3, incident i1: decision 1 of 1: event tick gave another result: recorded "escalated", ` +
				`replayed`, "replay audit log in " + changed + ": 1 difference; either", "the image that wrote it"},
			"all identical"},
		{[]string{old, "--key-file", keyFile}, 0, []string{"no decisions replayed",
			"2 records on incidents without replayable decisions"}, "all identical"},
		{[]string{newer, "--key-file", keyFile}, 0,
			[]string{fmt.Sprintf("1 record of decisions not replayed: format 99, this version reads format %d",
				decision.Format)},
			"difference"},
		{[]string{torn, "--key-file", keyFile}, 1, []string{"hash does not match the content", "is not intact"}, ""},
		{[]string{good}, 1, []string{"which is not one of the 0 given keys"}, ""},
		{[]string{good, "--key-file", keyFile, "--anchor", "x"}, 2, []string{"LOG:SEQUENCE:HASH"}, ""},
		{[]string{good, "-o", "xml"}, 2, []string{"expected one of: text, json"}, ""},
		{[]string{good, old}, 2, []string{"expected at most one DIR"}, ""},
		{[]string{good + "x"}, 1, []string{"no such file"}, ""},
	} {
		out, code := say(t, append([]string{"audit", "replay"}, tc.args...)...)
		for _, w := range tc.want {
			if !strings.Contains(out, w) {
				t.Errorf("audit replay %v: %q is not in\n%s", tc.args, w, out)
			}
		}
		if code != tc.code || tc.not != "" && strings.Contains(out, tc.not) {
			t.Errorf("audit replay %v: exit %d, want %d, without %q:\n%s", tc.args, code, tc.code, tc.not, out)
		}
	}
	out, code := say(t, "audit", "replay", changed, "--key-file", keyFile, "-o", "json")
	var r struct {
		Verified audit.Report
		Replayed decision.Report
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); err != nil || code != 1 ||
		r.Verified.Records != len(records)+1 || len(r.Replayed.Differences) != 1 || r.Replayed.Differences[0].Seq != 3 {
		t.Errorf("%v: exit %d: %s", err, code, out)
	}
}
