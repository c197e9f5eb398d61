package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fleetText is a file of many targets, and nothing else.
func fleetText(targets int) []byte {
	var b strings.Builder
	b.WriteString("mode: observe\ntargets:\n")
	for k := range targets {
		fmt.Fprintf(&b, "  - name: t%[1]d\n    namespace: prod\n    workload: deployment/t%[1]d\n    probes:\n"+
			"      - health: { url: \"http://t%[1]d:8080/health\", interval: 15s }\n"+
			"      - http: { url: \"http://t%[1]d:8080/\", interval: 15s }\n", k)
	}
	return []byte(b.String())
}

// A second reading of the document, or a search for secrets where none is quoted, would take
// about as many allocations again.
func TestATargetCostsFewAllocations(t *testing.T) {
	of := func(targets int, what func(text []byte)) float64 {
		text := fleetText(targets)
		return testing.AllocsPerRun(3, func() { what(text) })
	}
	for name, c := range map[string]struct {
		what func(text []byte)
		most float64
	}{
		"parse": {func(text []byte) {
			if _, err := Parse("watchdog.yaml", text); err != nil {
				t.Error(err)
			}
		}, 220},
		"hide": {func(text []byte) { newHider(text, nil) }, 30},
	} {
		if each := (of(400, c.what) - of(200, c.what)) / 200; each > c.most {
			t.Errorf("%s: %.0f allocations a target, expected at most %.0f", name, each, c.most)
		}
	}
	c, err := Parse("watchdog.yaml", fleetText(1))
	if err != nil {
		t.Fatal(err)
	}
	each := (testing.AllocsPerRun(3, func() { (&Config{Targets: slices.Repeat(c.Targets, 401)}).SecretFiles() }) -
		testing.AllocsPerRun(3, func() { (&Config{Targets: slices.Repeat(c.Targets, 1)}).SecretFiles() })) / 400
	if each > 0.5 {
		t.Errorf("secret files: %.1f allocations a target", each)
	}
}

// A text without any of the stems is taken for one without the words.
func TestEveryWordOfASecretHasAStem(t *testing.T) {
	for _, w := range secretWords {
		for _, key := range []string{w, "X-" + strings.ToUpper(w), "my_" + w} {
			if !mentionsSecret(key) || !secretKey(key) {
				t.Errorf("%s is not taken for a secret", key)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := fleetText(1000)
	for b.Loop() {
		if _, err := Parse("watchdog.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
