package selfwatch

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestThreeCrashesEndInWatchingOnly_F43 lets a real process panic three times.
func TestThreeCrashesEndInWatchingOnly_F43(t *testing.T) {
	if dir := os.Getenv("WATCHDOG_TEST_CRASH"); dir != "" {
		if _, err := WatchCrashes(dir, time.Now()); err != nil {
			t.Fatal(err)
		}
		go panic("a stored object that nobody expected")
		select {}
	}
	dir := t.TempDir()
	for k := range 3 {
		if unfit, err := WatchCrashes(dir, time.Now()); unfit != "" || err != nil {
			t.Fatalf("after %d crashes: %q, %v", k, unfit, err)
		}
		c := exec.Command(os.Args[0], "-test.run", "^TestThreeCrashesEndInWatchingOnly_F43$")
		c.Env = append(os.Environ(), "WATCHDOG_TEST_CRASH="+dir)
		if err := c.Run(); err == nil {
			t.Fatal("the process did not crash")
		}
	}
	unfit, err := WatchCrashes(dir, time.Now())
	if err != nil || !strings.Contains(unfit,
		`crashed 3 times within 1h0m0s, last with "panic: a stored object that nobody expected`) {
		t.Fatalf("%q, %v", unfit, err)
	}
	if unfit, err := WatchCrashes(dir, time.Now().Add(2*time.Hour)); unfit != "" || err != nil {
		t.Fatalf("two hours later: %q, %v", unfit, err)
	}
}
