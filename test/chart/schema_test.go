//go:build integration

package chart

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the configuration's schema into values.schema.json anew")

// TestTheSchemaOfTheConfigurationIsCurrent_A5: what is under `config` is checked by the
// schema of the configuration, whose definitions stand at the end of the chart's schema:
// go test -tags integration ./test/chart -run Schema -update.
func TestTheSchemaOfTheConfigurationIsCurrent_A5(t *testing.T) {
	file := filepath.Join(dir, "values.schema.json")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../configs/watchdog.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Definitions map[string]any }
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	definitions, err := json.MarshalIndent(schema.Definitions, "  ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(old), ",\n  \"definitions\": ")
	if !found {
		t.Fatalf("%s has no definitions at its end", file)
	}
	want := head + ",\n  \"definitions\": " + string(definitions) + "\n}\n"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != want {
		t.Errorf("%s does not hold the schema of the configuration; run go test -tags integration ./test/chart -run "+
			"Schema -update", file)
	}
}
