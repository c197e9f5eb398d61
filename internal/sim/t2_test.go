package sim

import (
	"os"
	"strconv"
	"testing"
)

func TestTraceID(t *testing.T) {
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		return
	}
	id := os.Getenv("ID")
	s := Shrink(Swarm(n), func(c *Scenario) bool { return breaks(Run(c, nil), id) })
	os.WriteFile("/tmp/story.txt", []byte(Story(s)), 0o644)
}
