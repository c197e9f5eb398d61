package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestTraceOne(t *testing.T) {
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		return
	}
	s := Swarm(n)
	if w := os.Getenv("WORD"); w != "" {
		s = Shrink(s, func(c *Scenario) bool { return strings.Contains(Story(c), w) })
	}
	os.WriteFile("/tmp/story.txt", []byte(Story(s)), 0o644)
}
func TestFindWord(t *testing.T) {
	w := os.Getenv("FIND")
	if w == "" {
		return
	}
	n := 0
	for seed := uint64(1); n < 6 && seed < 2000; seed++ {
		for l := range strings.Lines(Story(Swarm(seed))) {
			if strings.Contains(l, w) {
				t.Log(seed, l)
				n++
			}
		}
	}
}
