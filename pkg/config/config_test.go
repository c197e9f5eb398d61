package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/incident"
)

func TestEveryShippedExampleLoads(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if _, err := Load(f); err != nil {
			t.Error(err)
		}
	}
}

func TestAFreshFileActsOnNothing_INV48(t *testing.T) {
	c, err := Load("../../configs/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != incident.Observe || c.Targets[0].Mode != incident.Observe {
		t.Errorf("mode %s, target %s", c.Mode, c.Targets[0].Mode)
	}
	if len(c.Thresholds) != 15 {
		t.Errorf("%d shipped rules", len(c.Thresholds))
	}
	for _, r := range c.Thresholds {
		if r.Mode != incident.Observe {
			t.Errorf("shipped rule %s has mode %s", r.Name, r.Mode)
		}
	}
}

func TestTheShippedTableIsTheRunbooks(t *testing.T) {
	for metric, bound := range map[string]float64{"response_time": 0.5, "error_rate": 0.001, "cpu": 0.8,
		"memory": 0.85} {
		r, ok := shipped(metric)
		if !ok || r.Above == nil || r.Above.Value != bound {
			t.Errorf("%s: %+v", metric, r.Above)
		}
	}
	if r, _ := shipped("active_agents"); r.Below == nil || r.Below.Value != 2 {
		t.Errorf("active_agents: %+v", r.Below)
	}
	for _, r := range DefaultThresholds() {
		r.setDefaults()
		if r.For <= 0 || r.ClearFor <= 0 || len(r.Ladder) == 0 || r.Severity == "" {
			t.Errorf("%s is not complete: %+v", r.Name, r)
		}
	}
}

func TestAMetricTakesWhatIsNotGivenFromTheTable(t *testing.T) {
	c, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\nthresholds: "+
		"[{metric: error_rate, mode: auto, above: 2%}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Thresholds[0]
	if r.Above.Value != 0.02 || r.ClearBelow != nil || time.Duration(r.For) != 5*time.Minute || r.MinRequests != 400 ||
		r.Ladder[1].Action != "rollback" || r.Name != "error_rate" {
		t.Errorf("%+v", r)
	}
}

// good is the file that each of testdata/bad-*.yaml breaks in one place.
const good = `mode: auto
targets:
  - name: shop
    mode: auto
    namespace: shop
    workload: deployment/shop
    probes:
      - health: { url: "http://shop/health", interval: 15s }
thresholds:
  - name: slow
    metric: response_time
    above: 500ms
    clear_below: 400ms
    for: 5m
    min_rate: 1
    severity: P2
    mode: auto
    ladder:
      - capture
      - scale: { by: 25%, max: 20, lease: 2h }
      - page
`

func TestAllErrorsAtOnceWithTheirLines(t *testing.T) {
	text := strings.NewReplacer("mode: auto\ntargets", "mode: yolo\ntargets", "severity: P2", "severity: high",
		"- capture", "- page").Replace(good)
	_, err := Parse("bad.yaml", []byte(text))
	all, ok := err.(Errors)
	if !ok || len(all) != 3 || all[0].Line != 1 || all[1].Line != 16 || all[2].Line != 19 {
		t.Fatalf("%v", err)
	}
	if x := all.Excerpt([]byte(text)); !strings.Contains(x, ">   16 |     severity: high") {
		t.Errorf("%s", x)
	}
}

func TestWhatCannotBeReadDoesNotHideTheRest(t *testing.T) {
	text := strings.NewReplacer(
		"mode: auto\ntargets", "modee: auto\nmode: yolo\ntargets",
		"namespace: shop", "namspace: shop",
		"interval: 15s", "interval: 15s, timeout: 20s",
		"above: 500ms", "above: fast",
		"severity: P2", "severity: high",
		"by: 25%", "by: none", "max: 20", "maxx: 20",
	).Replace(good) + "guards: { max_replicas: -1, cooldown: soon }\n"
	_, err := Parse("bad.yaml", []byte(text))
	var got []string
	for _, p := range err.(Errors) {
		got = append(got, p.Path)
	}
	// No namespace, no bound, no max: these are echoes of what could not be read.
	want := []string{"modee", "mode", "targets[0].namspace", "targets[0].probes[0].health.timeout",
		"thresholds[0].above", "thresholds[0].severity", "thresholds[0].ladder[1].scale.maxx", "guards.max_replicas",
		"guards.cooldown"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s\n%s", d, err)
	}
}

func TestAListThatLostAnElementIsNotJudgedByItsIndexes(t *testing.T) {
	text := strings.Replace(good, "targets:\n",
		"targets:\n  - 3\n  - { name: cart, namespace: shop, workload: deployment/cart }\n", 1)
	text = strings.Replace(text, "deployment/shop", "pod/shop", 1)
	_, err := Parse("bad.yaml", []byte(text))
	if all, ok := err.(Errors); !ok || len(all) != 1 || all[0].Path != "targets[0]" {
		t.Errorf("%v", err)
	}
}

func TestALadderThatLostARungIsNotJudgedByItsIndexes(t *testing.T) {
	text := strings.NewReplacer("- capture", "- restart: { max: 3 }", "max: 20, ", "").Replace(good)
	_, err := Parse("bad.yaml", []byte(text))
	if all, ok := err.(Errors); !ok || len(all) != 1 || all[0].Path != "thresholds[0].ladder[0].restart.max" {
		t.Errorf("%v", err)
	}
}

func TestATargetThatCouldNotBeReadIsNotCalledMissing(t *testing.T) {
	text := strings.NewReplacer("targets:\n", "targets:\n  - cart\n", "for: 5m",
		"for: 5m\n    targets: [cart]").Replace(good)
	_, err := Parse("bad.yaml", []byte(text))
	if all, ok := err.(Errors); !ok || len(all) != 1 || all[0].Path != "targets[0]" {
		t.Errorf("%v", err)
	}
}

func TestOptionsOfARungMayBeAnAlias(t *testing.T) {
	text := strings.Replace(good, "      - scale: {", "      - scale: &more {", 1)
	text = strings.Replace(text, "      - page\n", "      - scale: *more\n      - page\n", 1)
	c, err := Parse("x.yaml", []byte(text))
	if err != nil || c.Thresholds[0].Ladder[2].Options.Max != 20 {
		t.Errorf("%v", err)
	}
}

func TestRulesOverTrafficHaveAFloor(t *testing.T) {
	for _, metric := range []string{"response_time", "error_rate"} {
		if r, ok := shipped(metric); !ok || r.MinRate <= 0 && r.MinRequests <= 0 {
			t.Errorf("%s has no floor: %+v", metric, r)
		}
	}
}

func TestAMissingTargetIsNotReportedWhenTargetsMayBeMisspelt(t *testing.T) {
	text := strings.Replace(strings.Replace(good, "targets:\n", "target:\n", 1), "for: 5m",
		"for: 5m\n    targets: [shop]", 1)
	_, err := Parse("bad.yaml", []byte(text))
	if all, ok := err.(Errors); !ok || len(all) != 1 || all[0].Path != "target" {
		t.Errorf("%v", err)
	}
}

func TestAnAliasIsMendedWhereItsAnchorIs(t *testing.T) {
	text := strings.Replace(good, "  - name: shop\n    mode: auto\n", "  - &shop\n    name: shop\n    mode: auto\n", 1)
	text = strings.Replace(text, "thresholds:\n",
		"  - <<: *shop\n    name: cart\n    workload: pod/cart\n  - *shop\nthresholds:\n", 1)
	_, err := Parse("bad.yaml", []byte(text))
	all, ok := err.(Errors)
	if !ok || len(all) != 2 || all[0].Line != 4 || all[0].Path != "targets[2].name" || all[1].Line != 12 {
		t.Errorf("%v", err)
	}
}

func TestAFileFullOfMistakesIsAnsweredInTime(t *testing.T) {
	text := "targets:\n" + strings.Repeat("  - { nmae: x }\n", 3_000)
	start := time.Now()
	_, err := Parse("bad.yaml", []byte(text))
	if all, ok := err.(Errors); !ok || len(all) != maxProblems+1 ||
		!strings.Contains(all[maxProblems].Message, "only the first") {
		t.Errorf("%d problems", len(err.(Errors)))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("answered after %s", took)
	}
}

func TestAFileThatIsTooLargeIsNotParsed(t *testing.T) {
	comment := []byte("#" + strings.Repeat("x", maxFile-1))
	if _, err := Parse("x.yaml", comment); err != nil {
		t.Errorf("%d bytes: %v", len(comment), err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, append(comment, 'x'), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.HasSuffix(err.Error(), "file is larger than 8 MiB") {
		t.Errorf("%v", err)
	}
}

func TestAZeroIsNotSilentlyADefault(t *testing.T) {
	for _, key := range notZero {
		_, err := Parse("x.yaml", []byte("thresholds:\n- metric: cpu\n  "+key+": 0\n"))
		if err == nil || !strings.Contains(err.Error(), "thresholds[0]."+key+": ") {
			t.Errorf("%s: 0 is taken: %v", key, err)
		}
	}
	if c, err := Parse("x.yaml", []byte("targets: []\nthresholds:\n- {name: a, expr: up, above: 0, for: 1m, "+
		"clear_for: 0s, severity: P3, ladder: [page]}\nbudget: {per_target: 0/1h}\n")); err != nil ||
		c.Budget.PerTarget.Count != 0 {
		t.Errorf("a 0 that means 0: %v", err)
	}
}

func TestNobodyIsToldIsSaidOncePerSeverity(t *testing.T) {
	c, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.String())
	}
	want := []string{
		"x.yaml:1:1: receivers: no receiver for P2 incidents: nobody is notified",
		"x.yaml:1:1: receivers: no receiver for P1 incidents: nobody is notified",
		"x.yaml:1:1: receivers: no receiver for P0 incidents: nobody is notified",
		"x.yaml:1:1: receivers: no receiver for P3 incidents: nobody is notified",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAnExcerptDoesNotSteerTheTerminal(t *testing.T) {
	text := "mode: yolo # \x7f\u009b31m\r\n\ttargets: x"
	x := Errors{{File: "f", Line: 1, Column: 7, Message: "m"}}.Excerpt([]byte(text))
	if strings.ContainsAny(x, "\x7f\u009b\r\t") {
		t.Errorf("%q", x)
	}
}

func TestNeverRestartOnErrorsAlone(t *testing.T) {
	_, err := Parse("x.yaml", []byte("targets: [{name: a, namespace: n, workload: deployment/a}]\nthresholds: "+
		"[{metric: error_rate, ladder: [restart, page]}]\n"))
	if err == nil || !strings.Contains(err.Error(), "restart cannot be used for error_rate") {
		t.Fatal(err)
	}
}

func TestAnAliasBombIsRefused_F100(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		b.WriteString("a" + string(rune('a'+i)) + ": &a" + string(rune('a'+i)) + " [")
		prev := "a0"
		if i > 1 {
			prev = "a" + string(rune('a'+i-1))
		}
		b.WriteString(strings.TrimSuffix(strings.Repeat("*"+prev+",", 9), ",") + "]\n")
	}
	start := time.Now()
	if _, err := Parse("bomb.yaml", []byte(b.String())); err == nil {
		t.Fatal("taken")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("refused after %s", took)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	for _, pattern := range []string{"../../configs/*.yaml", corpus} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no files %s, %v", pattern, err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("fuzz.yaml", b)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v and %v", c, err)
		}
		if err == nil {
			return
		}
		all, ok := err.(Errors)
		if !ok || len(all) == 0 || len(all) > maxProblems+1 {
			t.Fatalf("%T with %d problems", err, len(all))
		}
		for _, p := range all {
			if p.Message == "" || p.File == "" {
				t.Fatalf("says nothing: %#v", p)
			}
		}
		all.Excerpt(b)
		if _, again := Parse("fuzz.yaml", b); again == nil || again.Error() != err.Error() {
			t.Fatalf("said another time:\n%v\n%v", err, again)
		}
	})
}

// Without an audience, any ServiceAccount token of the cluster would do.
func TestTokensAreMadeForWatchdogUnlessTheFileSaysForWhom_S22(t *testing.T) {
	for text, want := range map[string][]string{
		"api: { control: true }":                                   {"watchdog"},
		"api: { control: true, audiences: [] }":                    {"watchdog"},
		"api: { control: true, audiences: [watchdog, https://x] }": {"watchdog", "https://x"},
	} {
		c, err := Parse("w.yaml", []byte(text+"\n"))
		if err != nil || !slices.Equal(c.API.Audiences, want) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}
