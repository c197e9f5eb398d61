package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// around is what examples in documents take for granted: each key is added to a block
// that does not have it.
var around = []string{
	`targets: [{ name: shop, namespace: shop, workload: deployment/shop, probes: [{ health: { url: "http://shop.shop/health" } }] }]`,
	`receivers: { pagerduty: { routing_key_file: /k }, slack: { token_file: /t, channel: c }, emails: [{ name: ` +
		`lead-mail, smarthost: "m:25", from: a@b.c, to: [a@b.c] }, { name: managers, smarthost: "m:25", from: a@b.c, ` +
		`to: [a@b.c] }] }`,
	`time_intervals: [{ name: office, time_intervals: [{ weekdays: ["monday:friday"] }] }, { name: sunday-night, ` +
		`time_intervals: [{ weekdays: [sunday] }] }]`,
	`alertmanager: { silences: { urls: ["http://alertmanager:9093"] } }`,
}

// Whoever copies from a document gets a file that loads.
func TestEveryConfigurationInTheDocumentsLoads(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	ours := regexp.MustCompile(`^# (watchdog\.yaml|in the configuration of watchdog)\n`)
	keys := map[string]bool{}
	for f := range reflect.TypeFor[Config]().Fields() {
		keys[strings.Split(f.Tag.Get("yaml"), ",")[0]] = true
	}
	seen := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			block := ours.ReplaceAllString(m[1], "")
			key, _, ok := strings.Cut(block, ":")
			if !ok || !keys[key] {
				continue // of Kubernetes, Prometheus or another of watchdog's files
			}
			seen++
			for _, line := range around {
				if key, _, _ := strings.Cut(line, ":"); !regexp.MustCompile(`(?m)^` + key + `:`).MatchString(block) {
					block += line + "\n"
				}
			}
			// Beside the shipped examples, whose files an example may name.
			if _, err := Parse("../../configs/of-a-document.yaml", []byte(block)); err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(file), err, block)
			}
		}
	}
	if seen < 18 {
		t.Errorf("%d examples", seen)
	}
}
