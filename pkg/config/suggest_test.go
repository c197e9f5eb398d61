package config

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// renamedIn are files that give a key of the struct; the key's old name stands for %s.
var renamedIn = map[string]string{
	"config.Budget":     "budget: { %s: 10s }",
	"config.Statuspage": "receivers: { statuspage: { page_id: p, component_id: c, token_file: /t, %s: 10s } }",
}

func TestARenamedKeyIsOneErrorThatNamesTheNewKey(t *testing.T) {
	for typeName, keys := range renamed {
		file, known := renamedIn[typeName], keysOf(typeName)
		if file == "" || known == nil {
			t.Fatalf("%s: add a file to renamedIn, or correct the name of the struct", typeName)
		}
		for old, now := range keys {
			if slices.Contains(known, old) || !slices.Contains(known, now) {
				t.Errorf("%s: %s is still a key, or %s is none", typeName, old, now)
			}
			_, err := Parse("watchdog.yaml", fmt.Appendf(nil, file, old))
			var all Errors
			if want := old + " was renamed to " + now; !errors.As(err, &all) || len(all) != 1 ||
				all[0].Message != want || all[0].Line != 1 {
				t.Errorf("%s: got %v, want one error: %s", typeName, err, want)
			}
		}
	}
}
