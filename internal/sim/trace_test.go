package sim

import (
	"os"
	"strconv"
	"testing"
)

// TestStory prints the history of the world of SIM_SEED, when that is set.
func TestStory(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SIM_SEED"), 10, 64)
	if err != nil {
		t.Log("SIM_SEED=N go test -run Story -v ./internal/sim prints the history of seed N")
		return
	}
	t.Log("\n" + Story(Swarm(seed)))
}
