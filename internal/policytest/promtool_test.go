package policytest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testdata is the folder of promtool's own tests.
func testdata(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "cmd", "promtool", "testdata")
}

// promtool's own files of tests give what promtool's own test expects of them.
func TestPromtoolsOwnFiles(t *testing.T) {
	dir := testdata(t)
	for file, fails := range map[string]bool{
		"unittest.yml": false, "long-period.yml": false, "bad-input-series.yml": true, "bad-promql.yml": true,
		"bad-rules-syntax-test.yml": true,
		"bad-rules-error-test.yml":  true, "failing.yml": true, "at-modifier-test.yml": false,
		"negative-offset-test.yml":   false,
		"no-test-group-interval.yml": false, "start-time-test.yml": false, "rules_run.yml": true,
		"rules_run_fuzzy.yml": true, "rules_run_no_fuzzy.yml": true,
	} {
		t.Run(file, func(t *testing.T) {
			r := Run(t.Context(), filepath.Join(dir, file), nil)
			if r.Failed() != fails {
				var b strings.Builder
				Print(&b, []Result{r})
				t.Errorf("failed: %v, promtool says %v\n%s", r.Failed(), fails, b.String())
			}
		})
	}
	if r := Run(t.Context(), filepath.Join(dir, "rules_run_fuzzy.yml"), regexp.MustCompile("^correct")); r.Failed() ||
		len(r.Cases) != 1 {
		t.Errorf("of the tests that match: %+v", r)
	}
}
