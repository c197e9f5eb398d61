package receivers

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
)

// sides starts the three receivers and returns the notifiers for them.
func sides(t *testing.T) (*recorders.Recorder, []notify.Notifier) {
	t.Helper()
	rec, cfg := notifytest.Sides(t)
	ns, err := FromConfig(cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return rec, notifytest.Unpaced(ns)
}

func TestOneIncidentEverywhereFromBeginningToEnd_INV42(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		i := notifytest.Trouble()
		r := notifytest.Tell(t, n, i, incident.Receipt{})
		if again := notifytest.Tell(t, n, i, r); again != r {
			t.Errorf("%s: told twice of the same", n.Name())
		}
		helped := i
		helped.Attempts = []incident.Attempt{{Action: "rollback", Summary: "roll back", Verdict: incident.Helped,
			EndedAt: notifytest.T0}}
		helped.Phase = incident.Verifying
		r = notifytest.Tell(t, n, helped, r)
		r = notifytest.Tell(t, n, notifytest.Over(helped), r)
		if again := notifytest.Tell(t, n, notifytest.Over(helped), r); again != r {
			t.Errorf("%s: told twice of the end", n.Name())
		}
	}
	for name, side := range map[string]map[string]recorders.Incident{"PagerDuty": rec.PagerDutyIncidents(),
		"status page": rec.StatuspageIncidents()} {
		if len(side) != 1 {
			t.Errorf("%s has %d incidents", name, len(side))
		}
		for _, x := range side {
			if x.State != "resolved" {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
	if m := rec.SlackMessages(); len(m) != 1 {
		t.Errorf("%d Slack messages", len(m))
	}
}

func TestASeverityThatIsNotTakenIsNotToldUnlessAPersonMustAct(t *testing.T) {
	rec, ns := sides(t)
	i := notifytest.Trouble()
	i.Severity = incident.P3
	for _, n := range ns {
		notifytest.Tell(t, n, i, incident.Receipt{})
	}
	if n := len(rec.Snapshot().Requests); n != 0 {
		t.Fatalf("%d messages", n)
	}
	i.Paged, i.PageReason = true, "the ladder is exhausted"
	for _, n := range ns {
		notifytest.Tell(t, n, i, incident.Receipt{})
	}
	if len(rec.PagerDutyIncidents()) != 1 || len(rec.SlackMessages()) != 1 || len(rec.StatuspageIncidents()) != 0 {
		t.Errorf("%+v", rec.Snapshot().Requests)
	}
}

func TestThePublicReadsNoInternalName_INV44(t *testing.T) {
	rec, ns := sides(t)
	i := notifytest.Trouble()
	i.Target.Name = "<!channel> CANARY"
	for _, n := range ns {
		if n.Name() == "statuspage" {
			r := notifytest.Tell(t, n, i, incident.Receipt{})
			notifytest.Tell(t, n, notifytest.Over(i), r)
		}
	}
	for _, q := range rec.Snapshot().Requests {
		for _, word := range []string{"CANARY", "shop", "error_rate", "v2."} {
			if strings.Contains(string(q.Body), word) {
				t.Errorf("published %q: %s", word, q.Body)
			}
		}
	}
}

// A Secret that is gone must not end all watching at the next restart; pkg/app tells of it.
func TestAMissingSecretIsAnErrorAtEachUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	cfg := &config.Config{Receivers: config.Receivers{Slack: &config.Slack{TokenFile: file, Channel: "#a"}}}
	if _, err := FromConfig(cfg, time.Now); err != nil {
		t.Fatal(err)
	}
	secret, err := notify.NewSecret(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Reveal(); err == nil || !strings.Contains(err.Error(),
		"secret file "+file+": file does not exist; is the Secret there, with this key?") {
		t.Error(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FromConfig(cfg, time.Now); err == nil || !strings.Contains(err.Error(),
		"receiver slack: secret file "+file+" is empty") {
		t.Errorf("an empty one is no error at start: %v", err)
	}
}

func TestEachWayOfFailingIsToldApart(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		for mode, final := range map[recorders.Mode]bool{recorders.Limited: false, recorders.Broken: false,
			recorders.Reset: false, recorders.Applied500: false} {
			rec.Set(n.Name(), mode)
			_, err := n.Notify(t.Context(), notifytest.Trouble(), incident.Receipt{})
			var f *notify.Failure
			if err == nil || errors.As(err, &f) && f.Final != final {
				t.Errorf("%s %q: %v", n.Name(), mode, err)
			}
			rec.Set(n.Name(), recorders.OK)
		}
	}
	if n := len(rec.PagerDutyIncidents()); n != 1 {
		t.Errorf("%d incidents at PagerDuty after an answer was lost (F-91)", n)
	}
}

func TestAnUnansweredIncidentIsToldAgainAndAnAcknowledgedOneIsPassedOn(t *testing.T) {
	rec, ns := sides(t)
	for _, n := range ns {
		if n.Name() == "statuspage" {
			continue // the public does not read who answers
		}
		i := notifytest.Trouble()
		i.AckBy = notifytest.T0.Add(time.Hour)
		r := notifytest.Tell(t, n, i, incident.Receipt{})
		i.Unanswered = 1
		missed := notifytest.Tell(t, n, i, r)
		if missed.Digest == r.Digest {
			t.Errorf("%s: not told that nobody answered", n.Name())
		}
		i.Acked = incident.Attribution{By: "alice <!channel>", At: notifytest.T0}
		taken := notifytest.Tell(t, n, i, missed)
		if again := notifytest.Tell(t, n, i, taken); again != taken || taken == missed {
			t.Errorf("%s: the acknowledgement was told %+v, then %+v", n.Name(), taken, again)
		}
		if r = notifytest.Tell(t, n, notifytest.Over(i), taken); n.Name() == "pagerduty" &&
			(taken.State != "acknowledged" || r.State != "resolved") {
			t.Errorf("PagerDuty was told %s, then %s", taken.State, r.State)
		}
	}
	var told, shown []string
	if err := rec.WaitFor(t.Context(), func(s recorders.Snapshot) bool {
		for _, q := range s.Requests {
			if q.Receiver == recorders.PagerDuty {
				told = append(told, q.Action)
			}
			if q.Receiver == recorders.Slack {
				shown = append(shown, string(q.Body))
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"trigger", "trigger", "acknowledge", "resolve"}; !slices.Equal(told, want) {
		t.Errorf("PagerDuty got %v, want %v", told, want)
	}
	for k, want := range []string{"Acknowledge by 13:00:00 UTC, 1 Jan", "deadlines missed: 1",
		"acknowledged by alice", "acknowledged by alice"} {
		if k >= len(shown) || !strings.Contains(shown[k], want) || strings.Contains(shown[k], "<!channel>") {
			t.Errorf("message %d does not say %q; all are\n%s", k, want, strings.Join(shown, "\n"))
		}
	}
}
