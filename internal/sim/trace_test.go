package sim

import (
	"os"
	"strconv"
	"testing"
)

func TestTraceOne(t *testing.T) {
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		return
	}
	os.WriteFile("/tmp/story.txt", []byte(Story(Swarm(n))), 0o644)
}
