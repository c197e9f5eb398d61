package fleet

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

func TestTheConfigurationsAreValid(t *testing.T) {
	for name, text := range map[string]string{"at rest": fleetConfig(250, 8080), "as a prober": probeConfig(3, 8080, "")} {
		file := filepath.Join(t.TempDir(), "watchdog.yaml")
		if err := publish(file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASoakSeesGrowth(t *testing.T) {
	var all []sample
	for m := range 61 {
		all = append(all, sample{at: time.Duration(m) * time.Minute, rss: 100 + float64(m)})
	}
	if s := slope(all); math.Abs(s-60) > 1e-6 {
		t.Errorf("a MiB a minute is a slope of %.3f MiB an hour", s)
	}
	if m := median(between(all, 15*time.Minute, 20*time.Minute), sample.getRSS); m != 118 {
		t.Errorf("the median from minute 15 to 20 is %.0f", m)
	}
}

func TestATableShowsGrowth(t *testing.T) {
	var b strings.Builder
	var table Table
	_ = table.Add(Column{"100", []measure{{"RSS, MiB", 20, 0}, {"ready, s", math.NaN(), 1}}}, nil)
	_ = table.Add(Column{"1000", []measure{{"RSS, MiB", 50, 0}}}, errors.New("it has ended"))
	table.Print(&b, true)
	want := "|  | 100 | growth | 1000 |\n|---|---|---|---|\n| RSS, MiB | 20 | × 2.5 | 50 |\n| ready, s | – |  | – |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
