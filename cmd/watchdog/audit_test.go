package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/audit"
)

func TestTheAuditRecordIsVerifiedShownAndExported_SEC27(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := audit.ReadKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "audit")
	l, err := audit.Open(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, r := range []audit.Record{
		{Kind: "act", Incident: "i1", Op: "op1", Target: "shop/deployment/cart", Actor: "watchdog",
			Text: "restart the pods"},
		{Kind: "responder", Incident: "i2", Target: "shop/deployment/web", Actor: "ann@example.com",
			Text: "hold\n\x1b[31mred"},
	} {
		r.At = at
		if _, err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	anchor := strings.Join([]string{l.Tip().Log, "3", l.Tip().Hash}, ":")
	l.Close()
	cut := filepath.Join(t.TempDir(), "cut")
	b, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if err := os.MkdirAll(cut, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cut, "audit.jsonl"), bytes.Join(lines[:2], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want []string
		not  string
	}{
		{[]string{"verify", dir, "--key-file", keys, "--anchor", anchor}, 0,
			[]string{"3 records in 1 file", "all records are sealed with a key (current key: " + l.Tip().Key,
				"last record: " + anchor}, ""},
		{[]string{"verify", dir}, 1, []string{"audit.jsonl, line 1: sealed with key " + l.Tip().Key,
			"copy the directory"}, ""},
		{[]string{"verify", cut, "--key-file", keys}, 0, []string{"2 records"}, ""},
		{[]string{"verify", cut, "--key-file", keys, "--anchor", anchor}, 1,
			[]string{"records 3 to 3 are missing at the end"}, ""},
		{[]string{"verify", cut, "--anchor", "x"}, 2, []string{"LOG:SEQUENCE:HASH"}, ""},
		{[]string{"verify", dir + "x"}, 1, []string{"no such file"}, ""},
		{[]string{"show", dir}, 0, []string{"2026-03-01T12:00:00Z  2  act  incident=i1  op=op1  " +
			"target=shop/deployment/cart  restart the pods", `by=ann@example.com  hold\n\x1b[31mred`}, "\x1b"},
		{[]string{"show", dir, "--incident", "i1"}, 0, []string{"restart"}, "hold"},
		{[]string{"show", dir, "--target", "web", "-o", "json"}, 0, []string{`"incident":"i2"`}, "restart"},
		{[]string{"show", dir, "--since", "1h"}, 0, nil, "restart"},
		{[]string{"export", dir, "--key-file", keys}, 0, []string{string(b)}, ""},
		{[]string{"export", dir}, 1, []string{string(b), "is not intact"}, ""},
		{[]string{"verify", dir, cut}, 2, []string{"expected at most one DIR"}, ""},
		{[]string{"verify", dir, "-o", "xml"}, 2, []string{"expected one of: text, json"}, ""},
	} {
		out, code := say(t, append([]string{"audit"}, tc.args...)...)
		for _, w := range tc.want {
			if !strings.Contains(out, w) {
				t.Errorf("audit %v: %q is not in\n%s", tc.args, w, out)
			}
		}
		if code != tc.code || tc.not != "" && strings.Contains(out, tc.not) {
			t.Errorf("audit %v: exit %d, want %d, without %q:\n%s", tc.args, code, tc.code, tc.not, out)
		}
	}
	out, _ := say(t, "audit", "verify", dir, "--key-file", keys, "-o", "json")
	var r audit.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Tip != l.Tip() || r.Records != 3 {
		t.Errorf("%v: %s", err, out)
	}
}

// say runs a command line, and returns what it printed and its exit code.
func say(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return out.String(), 0
	}
	out.WriteString(err.Error())
	return out.String(), exitCode(err)
}
