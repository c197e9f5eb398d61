package receivers

import (
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
)

func TestMain(m *testing.M) { notifytest.Main(m) }
