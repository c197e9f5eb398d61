package remediate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// FuzzRollbackPatch: the patch, applied as the API server applies it, yields the
// revision's template; and for templates made of what templates are made of there
// always is a patch.
func FuzzRollbackPatch(f *testing.F) {
	f.Add(uint64(1), `{"a":1}`, `{"a":2}`)
	f.Add(uint64(2), `{"metadata":{"annotations":{"x":"y"},"creationTimestamp":null}}`,
		`{"metadata":{},"spec":{"l":[{"a":null},null,{}]}}`)
	f.Add(uint64(3), `{"a":{"b":[1,2]}}`, `{"a":[{"b":1e400}]}`)
	f.Fuzz(func(t *testing.T, seed uint64, rawA, rawB string) {
		r := rand.New(rand.NewPCG(seed, 7))
		a, b := randomTemplate(t, r), randomTemplate(t, r)
		if r.IntN(3) == 0 {
			b = mutate(t, r, a)
		}
		patch, err := templatePatch(a, b)
		if err != nil {
			t.Fatalf("%s\nto %s: %v", a, b, err)
		}
		yields(t, a, b, patch)
		if patch, err := templatePatch([]byte(rawA), []byte(rawB)); err == nil {
			yields(t, []byte(rawA), []byte(rawB), patch)
		}
	})
}

func yields(t *testing.T, a, b, patch []byte) {
	t.Helper()
	if !json.Valid(patch) {
		t.Fatalf("patch %s is no JSON", patch)
	}
	got, err := jsonpatch.MergePatch(wrapTemplate(a), patch)
	if err != nil {
		t.Fatalf("apply %s to %s: %v", patch, a, err)
	}
	want, err := canonicalTemplate(b, false)
	if have := mustUnwrap(t, got); err != nil || string(have) != string(want) {
		t.Fatalf("%s with %s yields\n%s, want\n%s", a, patch, have, want)
	}
}

func randomTemplate(t *testing.T, r *rand.Rand) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"metadata": randomValue(r, 3, true), "spec": randomValue(r, 5, true)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mutate(t *testing.T, r *rand.Rand, template []byte) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(template, &doc); err != nil {
		t.Fatal(err)
	}
	for k := range doc {
		if m, ok := doc[k].(map[string]any); ok {
			for key := range m {
				if r.IntN(2) == 0 {
					delete(m, key)
				}
			}
			m[fmt.Sprint("k", r.IntN(4))] = randomValue(r, 2, false)
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func randomValue(r *rand.Rand, depth int, object bool) any {
	kind := r.IntN(7)
	if object {
		kind = 0
	}
	if depth == 0 && kind < 2 {
		kind = 2
	}
	switch kind {
	case 0:
		m := map[string]any{}
		for range r.IntN(4) {
			m[fmt.Sprint([]string{"k", "annotations", "~1/", ""}[r.IntN(4)], r.IntN(4))] = randomValue(r, depth-1,
				false)
		}
		return m
	case 1:
		var l []any
		for range r.IntN(4) {
			l = append(l, randomValue(r, depth-1, false))
		}
		return l
	case 2:
		return []string{"", "x", "null", "ü\n\"", "${A}"}[r.IntN(5)]
	case 3:
		return r.IntN(1 << 31)
	case 4:
		return r.IntN(2) == 0
	case 5:
		return -r.IntN(100)
	}
	return nil
}
