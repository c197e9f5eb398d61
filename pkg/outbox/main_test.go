package outbox

import (
	"flag"
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
)

func TestMain(m *testing.M) {
	// Tests that are parallel here wait for a receiver or a pause, and not for a processor.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	notifytest.Main(m)
}
