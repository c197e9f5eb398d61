package statuspage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"golang.org/x/time/rate"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/outbox"
)

func TestUnconfirmedTroubleIsNotPublished_INV44(t *testing.T) {
	rec, cfg := notifytest.Sides(t)
	s, err := New(cfg.Receivers.Statuspage, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	i := notifytest.Trouble()
	i.Phase = incident.Frozen
	notifytest.Tell(t, s, i, incident.Receipt{})
	// Nor is what has not lasted.
	s.damping.PendingFor = time.Second
	fresh := notifytest.Trouble()
	fresh.OpenedAt = time.Now()
	var f *notify.Failure
	if _, err := s.Notify(t.Context(), fresh, incident.Receipt{}); !errors.As(err, &f) || f.After <= 0 || f.Final {
		t.Errorf("%v", err)
	}
	if n := len(rec.Snapshot().Requests); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// direct hands requests to a handler without a network, so that it works in
// virtual time, and keeps what was sent.
type direct struct {
	h http.Handler

	mu   sync.Mutex
	sent []string
	at   []time.Time
}

func (d *direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	d.mu.Lock()
	d.sent, d.at = append(d.sent, r.Method+" "+r.URL.String()+" "+body), append(d.at, time.Now())
	d.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(body))
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("connection reset: %v", p)
		}
	}()
	d.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// aPage is a status page in memory and the receiver for it.
func aPage(t testing.TB, change func(*config.Statuspage)) (*recorders.Recorder, *Statuspage, *direct) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sp"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &config.Statuspage{URL: "http://status.test/statuspage", PageID: "p1", TokenFile: file, Publish: "auto",
		ComponentID: "c1", Severities: []incident.Severity{incident.P0, incident.P1},
		PendingFor: model.Duration(30 * time.Second), ClearAfter: model.Duration(5 * time.Minute),
		MinUpdateInterval: model.Duration(5 * time.Minute)}
	if change != nil {
		change(c)
	}
	s, err := New(c, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	rec := recorders.New(recorders.Options{})
	d := &direct{h: rec}
	s.client = &http.Client{Transport: d, Timeout: notify.AttemptTimeout}
	return rec, s, d
}

// newsroom is what the engine does for receivers: it keeps the incidents with
// their receipts, and hands on what is new.
type newsroom struct {
	x  *outbox.Outbox
	mu sync.Mutex
	is map[string]incident.Incident
}

func newNewsroom(t *testing.T, n notify.Notifier) *newsroom {
	r := &newsroom{is: map[string]incident.Incident{}}
	deliver := func(id, receiver string, got incident.Receipt) {
		r.say(id, func(i *incident.Incident) {
			all := map[string]incident.Receipt{}
			for k, v := range i.Receipts {
				all[k] = v
			}
			all[receiver] = got
			i.Receipts = all
		})
	}
	var err error
	r.x, err = outbox.New(outbox.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(), Delivered: deliver})
	if err != nil {
		t.Fatal(err)
	}
	r.x.Replace([]notify.Notifier{n})
	return r
}

func (r *newsroom) say(id string, change func(*incident.Incident)) {
	r.mu.Lock()
	i, ok := r.is[id]
	if !ok {
		i = incident.New(id, incident.Target{Name: "shop"}, time.Now())
		i.Severity = incident.P1
		i.Alerts = []incident.Alert{{Rule: "error_rate", Firing: true, Verdict: incident.Breach}}
	}
	change(&i)
	i.UpdatedAt = time.Now()
	r.is[id] = i
	r.mu.Unlock()
	r.x.Tell(i)
}

func (r *newsroom) end(id string) {
	r.say(id, func(i *incident.Incident) { i.Phase, i.ResolvedAt = incident.Resolved, time.Now() })
}

func (r *newsroom) receipt(id string) incident.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.is[id].Receipts["statuspage"]
}

// newsday runs a story in virtual time.
func newsday(t *testing.T, change func(*config.Statuspage), story func(t *testing.T, r *newsroom,
	rec *recorders.Recorder, s *Statuspage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rec, s, _ := aPage(t, change)
		r := newNewsroom(t, s)
		defer notifytest.Running(t, r.x)()
		story(t, r, rec, s)
	})
}

func onRequest(c *config.Statuspage) { c.Publish = "ask" }

// onPage is what the page says: its entries' states, and the component's status.
func onPage(rec *recorders.Recorder) string {
	var all []string
	for _, e := range rec.Page() {
		all = append(all, e.Status)
	}
	return strings.Join(all, ",") + " " + rec.StatuspageComponents()["c1"]
}

func reads(t *testing.T, rec *recorders.Recorder, when, want string) {
	t.Helper()
	synctest.Wait()
	if got := onPage(rec); got != want {
		t.Errorf("%s: the page says %q, want %q", when, got, want)
	}
}

func same(*incident.Incident) {}

func TestTheFirstPostWaitsForAPersonAndTheRestFollows(t *testing.T) {
	newsday(t, onRequest, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", func(i *incident.Incident) { i.Severity = incident.P0 })
		time.Sleep(time.Minute)
		reads(t, rec, "asked", " ")
		// Long before the 15 min that the runbook gives.
		if got := r.receipt("a"); got.State != "investigating" || !got.Proposed || got.Ref != "" {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Hour)
		reads(t, rec, "an hour later", " ")
		r.say("a", func(i *incident.Incident) { i.Public = incident.PublicAction{Publish: true} })
		time.Sleep(5 * time.Second)
		reads(t, rec, "a yes", "investigating major_outage")
		r.say("a", func(i *incident.Incident) { i.Op = &incident.Op{AppliedAt: time.Now()} })
		time.Sleep(6 * time.Minute)
		reads(t, rec, "the rest", "identified major_outage")
		r.end("a")
		time.Sleep(4 * time.Minute)
		reads(t, rec, "not over for long enough", "identified major_outage")
		time.Sleep(2 * time.Minute)
		reads(t, rec, "over", "resolved operational")
	})
}

func TestAProposalThatNobodyAnsweredIsNeverPosted(t *testing.T) {
	newsday(t, onRequest, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", same)
		time.Sleep(10 * time.Minute)
		r.end("a")
		time.Sleep(time.Hour)
		reads(t, rec, "over", " ")
	})
}

func TestAnAutomaticTextIsPostedWithoutAWord(t *testing.T) {
	newsday(t, func(c *config.Statuspage) {
		c.Publish = "ask"
		c.Templates = []config.StatuspageTemplate{{Severity: incident.P0, State: "investigating", Automatic: true}}
	}, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", same)
		time.Sleep(10 * time.Minute)
		reads(t, rec, "a P1", " ")
		r.say("a", func(i *incident.Incident) { i.Severity = incident.P0 })
		time.Sleep(time.Minute)
		reads(t, rec, "a P0", "investigating major_outage")
	})
}

func TestAPersonsHoldWinsUntilItEnds(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		hold := func(d time.Duration) func(*incident.Incident) {
			return func(i *incident.Incident) { i.Public = incident.PublicAction{HoldUntil: time.Now().Add(d)} }
		}
		r.say("a", hold(time.Hour))
		time.Sleep(59 * time.Minute)
		reads(t, rec, "held", " ")
		time.Sleep(2 * time.Minute)
		reads(t, rec, "the hold is over", "investigating partial_outage")
		r.say("a", hold(2*time.Hour))
		r.say("a", func(i *incident.Incident) { i.Op = &incident.Op{AppliedAt: time.Now()} })
		time.Sleep(10 * time.Minute)
		r.end("a")
		time.Sleep(100 * time.Minute)
		reads(t, rec, "over, and held", "investigating partial_outage")
		time.Sleep(15 * time.Minute)
		reads(t, rec, "only the latest state is told", "resolved operational")
		if n := rec.Page()[0].Updates; n != 2 {
			t.Errorf("%d updates", n)
		}
	})
}

func TestAHoldCountsForTroubleThatComesBack(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", func(i *incident.Incident) { i.Public = incident.PublicAction{HoldUntil: time.Now().Add(time.Hour)} })
		time.Sleep(time.Minute)
		r.end("a")
		time.Sleep(10 * time.Minute)
		r.say("b", same)
		time.Sleep(40 * time.Minute)
		reads(t, rec, "held by the word on another", " ")
		time.Sleep(10 * time.Minute)
		reads(t, rec, "the hold is over", "investigating partial_outage")
	})
}

func TestAReleaseEndsAHoldAtOnce(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", func(i *incident.Incident) {
			i.Public = incident.PublicAction{HoldUntil: time.Now().Add(24 * time.Hour)}
		})
		time.Sleep(time.Hour)
		reads(t, rec, "held", " ")
		r.say("a", func(i *incident.Incident) { i.Public = incident.PublicAction{} })
		time.Sleep(5 * time.Second)
		reads(t, rec, "released", "investigating partial_outage")
	})
}

func TestTroubleThatComesBackGoesOnInTheSameEntry(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		for n := range 10 {
			id := fmt.Sprint(n)
			r.say(id, same)
			time.Sleep(2 * time.Minute)
			r.end(id)
			time.Sleep(3 * time.Minute)
		}
		reads(t, rec, "flapping", "investigating partial_outage")
		time.Sleep(10 * time.Minute)
		reads(t, rec, "calm", "resolved operational")
		if e := rec.Page(); e[0].Updates != 2 {
			t.Errorf("%d updates of one entry", e[0].Updates)
		}
	})
}

func TestTheWorstOfSeveralIncidentsIsTheComponents(t *testing.T) {
	newsday(t, func(c *config.Statuspage) {
		c.Components = []config.StatuspageComponent{{Target: "cart", ID: "c2", Name: "Cart"}}
		c.MinUpdateInterval = model.Duration(time.Second)
	}, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", same)
		time.Sleep(time.Minute)
		r.say("b", func(i *incident.Incident) { i.Severity = incident.P0 })
		r.say("c", func(i *incident.Incident) { i.Target.Name = "cart" })
		time.Sleep(time.Minute)
		reads(t, rec, "two", "investigating,investigating,investigating major_outage")
		if got := rec.StatuspageComponents()["c2"]; got != "partial_outage" {
			t.Errorf("the other component is %s", got)
		}
		r.end("b")
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if got := rec.StatuspageComponents()["c1"]; got != "partial_outage" {
			t.Errorf("one is over: %s", got)
		}
		r.end("a")
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if got := rec.StatuspageComponents(); got["c1"] != "operational" || got["c2"] != "partial_outage" {
			t.Errorf("the last is over: %v", got)
		}
	})
}

// An answer may be lost after the page took the message, and the process with it:
// the public reads it once all the same (F-91, runbook defect 18).
func TestAnAnswerThatIsLostIsNoSecondPost(t *testing.T) {
	for _, mode := range []recorders.Mode{recorders.Applied500, recorders.Broken, recorders.Reset, recorders.Hang,
		recorders.Limited, recorders.Calm} {
		newsday(t, func(c *config.Statuspage) { c.MinUpdateInterval = model.Duration(time.Second) },
			func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
				ill := func() {
					rec.Set(recorders.Statuspage, mode)
					time.Sleep(40 * time.Second)
					s.mem.mu.Lock() // nothing but the page itself remembers
					clear(s.mem.all)
					clear(s.mem.changed)
					s.mem.mu.Unlock()
					rec.Set(recorders.Statuspage, recorders.OK)
					time.Sleep(3 * time.Minute)
				}
				r.say("a", same)
				ill()
				reads(t, rec, string(mode)+", first post", "investigating partial_outage")
				r.say("a", func(i *incident.Incident) { i.Op = &incident.Op{AppliedAt: time.Now()} })
				ill()
				reads(t, rec, string(mode)+", an update", "identified partial_outage")
				r.end("a")
				time.Sleep(5 * time.Minute)
				ill()
				reads(t, rec, string(mode)+", the end", "resolved operational")
				if n := rec.Page()[0].Updates; n != 3 {
					t.Errorf("%s: the public read %d texts", mode, n)
				}
			})
	}
}

// The public reads the end of what it has read, also if the answer to the post was
// lost and the incident is over before it is tried again (F-91).
func TestAPostWhoseAnswerWasLostIsEnded(t *testing.T) {
	for _, mode := range []recorders.Mode{recorders.Applied500, recorders.Broken} {
		newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
			rec.Set(recorders.Statuspage, mode)
			r.say("a", same)
			for began := time.Now(); len(rec.Page()) == 0 && time.Since(began) < 40*time.Second; {
				time.Sleep(50 * time.Millisecond)
			}
			r.end("a")
			rec.Set(recorders.Statuspage, recorders.OK)
			time.Sleep(20 * time.Minute)
			want := map[recorders.Mode]string{recorders.Applied500: "resolved operational",
				recorders.Broken: " operational"}[mode]
			if got := onPage(rec); got != want && !(mode == recorders.Broken && len(rec.Page()) == 0) {
				t.Errorf("%s: the page says %q, want %q", mode, got, want)
			}
		})
	}
}

// One request a second, over all incidents; what could not be told in time is
// told as it is by then (F-94).
func TestThePagesPaceIsKeptAndTheLatestIsTold_F94(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []config.StatuspageComponent
		for n := range 25 {
			targets = append(targets, config.StatuspageComponent{Target: fmt.Sprint("t", n), ID: fmt.Sprint("c", n),
				Name: "Part"})
		}
		rec, s, d := aPage(t, func(c *config.Statuspage) { c.Components, c.ComponentID = targets, "" })
		rec.Set(recorders.Statuspage, recorders.PerSecond)
		r := newNewsroom(t, s)
		defer notifytest.Running(t, r.x)()
		random := rand.New(rand.NewPCG(94, 94))
		down := map[int]string{}
		for n := range 150 {
			k := random.IntN(25)
			if id := down[k]; id != "" {
				r.end(id)
				delete(down, k)
			} else {
				down[k] = fmt.Sprint(k, "-", n)
				r.say(down[k], func(i *incident.Incident) { i.Target.Name = fmt.Sprint("t", k) })
			}
			time.Sleep(time.Duration(random.IntN(2400)) * time.Millisecond)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for k := 1; k < len(d.at); k++ {
			if gap := d.at[k].Sub(d.at[k-1]); gap < time.Second {
				t.Fatalf("two requests within %s", gap)
			}
		}
		status := rec.StatuspageComponents()
		for k := range 25 {
			want := "operational"
			if down[k] != "" {
				want = "partial_outage"
			}
			if got := status[fmt.Sprint("c", k)]; got != want && !(got == "" && want == "operational") {
				t.Errorf("component %d is %q, measured %s", k, got, want)
			}
		}
		open, posts := 0, len(rec.Requests(recorders.Statuspage))
		for _, e := range rec.Page() {
			if e.Unresolved() {
				open++
			}
		}
		if open != len(down) {
			t.Errorf("%d entries are open, %d incidents", open, len(down))
		}
		t.Logf("150 changes of 25 components in 3 min: %d requests, %d of them told the public something; %d "+
			"incidents go on, as many entries are open", len(d.at), posts, open)
	})
}

func TestAReloadForgetsNothingOfThePage(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
		r.say("a", same)
		time.Sleep(20 * time.Second)
		next := *s
		next.mem, next.pace = newMemory(time.Now()), newPace()
		notify.Inherit([]notify.Notifier{&next}, []notify.Notifier{s})
		r.x.Replace([]notify.Notifier{&next})
		if next.mem != s.mem || next.pace != s.pace {
			t.Error("it began anew")
		}
		time.Sleep(15 * time.Second)
		reads(t, rec, "after the reload", "investigating partial_outage")
	})
}

func TestThePauseBetweenChangesOutlivesTheProcess_INV44(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
		r.say("a", same)
		time.Sleep(time.Minute)
		r.end("a")
		time.Sleep(5*time.Minute + 5*time.Second)
		reads(t, rec, "over", "resolved operational")
		s.mem.mu.Lock()
		clear(s.mem.all)
		clear(s.mem.changed)
		s.mem.began = time.Now()
		s.mem.mu.Unlock()
		r.say("b", same)
		time.Sleep(4 * time.Minute)
		reads(t, rec, "a new process, a new incident", "resolved operational")
		time.Sleep(2 * time.Minute)
		reads(t, rec, "later", "resolved,investigating partial_outage")
	})
}

func TestWhatSomebodyResolvedOnThePageIsNotOpenedAgain(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
		r.say("a", same)
		time.Sleep(time.Minute)
		if _, err := s.put(t.Context(), r.receipt("a").Ref, map[string]any{"status": "resolved"}); err != nil {
			t.Fatal(err)
		}
		r.say("a", func(i *incident.Incident) { i.Op = &incident.Op{AppliedAt: time.Now()} })
		time.Sleep(10 * time.Minute)
		reads(t, rec, "by hand", "resolved operational")
		if got := r.receipt("a").State; got != "resolved on the page by another user" {
			t.Error(got)
		}
	})
}

func TestWhatEndedUnseenIsNotCalledWell(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
		r.say("a", same)
		time.Sleep(time.Minute)
		r.say("a", func(i *incident.Incident) {
			i.Phase, i.ResolvedAt = incident.Resolved, time.Now()
			i.Timeline = []incident.Entry{{At: time.Now(), Kind: "removed"}}
		})
		time.Sleep(time.Hour)
		reads(t, rec, "the rule was taken away", "investigating partial_outage")
		r.mu.Lock()
		defer r.mu.Unlock()
		if d, err := s.Drifts(t.Context(), []incident.Incident{r.is["a"]}); err != nil || len(d) != 1 ||
			d[0].Component != "c1" {
			t.Errorf("%v %v", d, err)
		}
	})
}

// FuzzStatusPageText: the public reads prepared texts and not one word of an
// incident, and never that a problem went back a state (INV-44, SEC-24).
func FuzzStatusPageText(f *testing.F) {
	f.Add("internal-db-7.corp", []byte{0, 1, 2, 6})
	f.Add("checkout", []byte{4, 5, 0, 2, 1, 6, 0})
	f.Add("{{ .Target.Name }} 10.0.0.7", []byte{8, 9, 10, 6})
	f.Fuzz(func(t *testing.T, text string, phases []byte) {
		now := notifytest.T0.Add(time.Minute)
		rec, s, d := aPage(t, func(c *config.Statuspage) {
			c.Components = []config.StatuspageComponent{{Target: text, ID: "c1", Name: "Checkout"}}
			c.Templates = []config.StatuspageTemplate{{State: "identified",
				Body: "{{ .Component }} has been slow since {{.Since}}."}}
		})
		s.now = func() time.Time { return now }
		s.pace.limit.SetLimit(rate.Inf)
		receipt := incident.Receipt{}
		for _, phase := range phases[:min(len(phases), 40)] {
			now = now.Add(3 * time.Minute)
			i := notifytest.Foreign(text, phase, phase>>4)
			i.ID, i.OpenedAt = "01m84k05", notifytest.T0
			if phase&8 != 0 {
				i.Op = &incident.Op{AppliedAt: notifytest.T0}
			}
			if i.Phase == incident.Resolved {
				i.ResolvedAt = notifytest.T0.Add(time.Minute)
			}
			if r, err := s.Notify(t.Context(), i, receipt); err == nil {
				receipt = r
			}
		}
		last := -1
		allowed := []string{plainly["investigating"], "Checkout has been slow since 12:00 UTC.", plainly["monitoring"],
			plainly["resolved"]}
		for _, q := range rec.Requests(recorders.Statuspage) {
			var b struct {
				Incident struct {
					Name, Status, Body string
					IDs                []string          `json:"component_ids"`
					Components         map[string]string `json:"components"`
					Metadata           metadata          `json:"metadata"`
				}
			}
			strict := json.NewDecoder(strings.NewReader(string(q.Body)))
			strict.DisallowUnknownFields()
			if err := strict.Decode(&b); err != nil {
				t.Fatalf("%v: %s", err, q.Body)
			}
			i, rank := b.Incident, slices.Index(publicStates, b.Incident.Status)
			if rank < last || i.Body != allowed[rank] || i.Name != "" && i.Name != plainName ||
				!slices.Equal(i.IDs, []string{"c1"}) || len(i.Components) != 1 ||
				!slices.Contains(impacts, i.Components["c1"]) {
				t.Fatalf("published %s", q.Body)
			}
			if o := i.Metadata.Watchdog; o.Incident != "01m84k05" || o.Component != "c1" ||
				!slices.Contains(impacts, o.Impact) || o.Maintenance != "" {
				t.Fatalf("published %s", q.Body)
			}
			last = rank
		}
		for k, sent := range d.sent {
			if first := strings.SplitN(sent, " ", 3); !strings.HasPrefix(first[1],
				"http://status.test/statuspage/v1/pages/p1/incidents") {
				t.Fatalf("request %d: %s", k, sent)
			}
		}
	})
}

func TestNothingOfAHostileIncidentIsPublished_SEC24(t *testing.T) {
	hostile := []string{"CANARY", "<!channel> CANARY", "{{ .Component }}CANARY",
		"{{CANARY}}", "CANARY\nCANARY", "CANARY</body>", `CANARY","status":"resolved`,
		"shop.CANARY.svc.cluster.local", "10.0.0.7 CANARY", "postgres://u:p@CANARY/db", strings.Repeat("CANARY ", 5000),
		"%sCANARY%d", "CANARY\x00\x1b[0m", "ＣＡＮＡＲＹ CANARY"}
	for _, words := range hostile {
		now := notifytest.T0.Add(time.Minute)
		rec, s, d := aPage(t, func(c *config.Statuspage) { c.MinUpdateInterval = model.Duration(time.Second) })
		s.now = func() time.Time { return now }
		s.pace.limit.SetLimit(rate.Inf)
		receipt := incident.Receipt{}
		for phase := range byte(7) {
			for _, op := range []*incident.Op{nil, {ID: words, AppliedAt: now, Plan: incident.Plan{Summary: words}}} {
				for range 4 {
					i := notifytest.Foreign(words, phase, 0)
					i.ID, i.OpenedAt, i.Op, i.ResolvedAt = "01a", notifytest.T0, op, notifytest.T0.Add(time.Minute)
					i.Acked, i.Public = incident.Attribution{By: words,
						Reason: words}, incident.PublicAction{Attribution: incident.Attribution{By: words, Reason: words},
						Publish: true}
					i.Receipts = map[string]incident.Receipt{words: {Ref: words, State: words}}
					if r, err := s.Notify(t.Context(), i, receipt); err == nil {
						receipt = r
					}
					now = now.Add(2 * time.Minute)
				}
			}
		}
		if e := rec.Page(); len(e) != 1 || e[0].Status != "resolved" || e[0].Updates != 4 {
			t.Errorf("%s: %v", words, e)
		}
		for _, sent := range d.sent {
			if strings.Contains(sent, "CANARY") || strings.Contains(sent, "10.0.0.7") {
				t.Errorf("sent %s", sent)
			}
		}
	}
}

func TestATextMayHoldTheFactsAndNothingElse_SEC24(t *testing.T) {
	for text, want := range map[string]string{
		"{{ .Component }} is slow since {{.Since}}.": "Checkout is slow since 12:00 UTC.",
		"Plain.":                        "Plain.",
		"{{ .Target }}":                 "",
		"{{ .Component.Name }}":         "",
		"{{ . }}":                       "",
		"{{ printf \"%v\" . }}":         "",
		"{{ $x := .Component }}":        "",
		"{{ range .Component }}{{end}}": "",
		"{{ if .Since }}x{{ end }}":     "",
		"{{ .Component | html }}":       "",
		"{{ define \"x\" }}{{ end }}y":  "",
		"{{ .Component":                 "",
	} {
		parsed, err := publicText(text)
		if got := parsed.fill(facts{"Checkout", "12:00 UTC"}); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := newPublicTemplates([]config.StatuspageTemplate{{State: "resolved",
		Body: "{{ .Target }}"}}); err == nil ||
		err.Error() != "templates[0].body: {{.Target}} is not allowed in a status page text; only {{ "+
			".Component }} and {{ .Since }} are allowed beside plain text" {
		t.Error(err)
	}
}

func TestASeveritysOwnTextCountsForMore(t *testing.T) {
	w, err := newPublicTemplates([]config.StatuspageTemplate{
		{Severity: incident.P0, State: "investigating", Name: "Outage", Automatic: true},
		{State: "investigating", Body: "Hm."},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := facts{}
	for s, want := range map[incident.Severity]string{incident.P0: "Outage Hm. true",
		incident.P1: "Degraded service Hm. false"} {
		x := w.of(s, "investigating")
		if got := fmt.Sprint(x.name.fill(f), " ", x.body.fill(f), " ", x.automatic); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

func TestThePageIsReadBack(t *testing.T) {
	newsday(t, func(c *config.Statuspage) { c.PendingFor = model.Duration(time.Hour) },
		func(t *testing.T, r *newsroom, rec *recorders.Recorder, s *Statuspage) {
			r.say("a", same)
			time.Sleep(10 * time.Minute)
			r.mu.Lock()
			all := []incident.Incident{r.is["a"]}
			r.mu.Unlock()
			d, err := s.Drifts(t.Context(), all)
			if err != nil || len(d) != 1 || d[0].Component != "c1" || strings.Contains(d[0].Text, "publish") {
				t.Errorf("%v %v", d, err)
			}
			time.Sleep(time.Hour)
			reads(t, rec, "published", "investigating partial_outage")
			if d, err = s.Drifts(t.Context(), all); err != nil || len(d) != 0 {
				t.Errorf("%v %v", d, err)
			}
		})
}

func TestAPersonMayPublishWhatIsOfNoSeverity(t *testing.T) {
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", func(i *incident.Incident) { i.Severity = incident.P3 })
		time.Sleep(10 * time.Minute)
		reads(t, rec, "a P3", " ")
		r.say("a", func(i *incident.Incident) { i.Public.Publish = true })
		time.Sleep(5 * time.Second)
		reads(t, rec, "a yes", "investigating degraded_performance")
	})
}

// A token that may write no longer is refused for good, and that is on the receipt.
func TestAPageThatRefusesIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, d := aPage(t, nil)
		d.h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Could not authenticate", http.StatusUnauthorized)
		})
		r := newNewsroom(t, s)
		defer notifytest.Running(t, r.x)()
		r.say("a", same)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.receipt("a"); !strings.Contains(got.Error, "401 Unauthorized: Could not authenticate") ||
			len(d.sent) > 2 {
			t.Errorf("%+v after %d requests", got, len(d.sent))
		}
	})
}

// S06, INV-44: whoever may post alerts does not tell the public.
func TestThePublicHearsOnlyOfWhatWatchdogItselfSees_S06(t *testing.T) {
	alert := func(rule, source string, s incident.Severity) incident.Alert {
		return incident.Alert{Rule: rule, Severity: s, Firing: true, Verdict: incident.Breach, Reason: "bad",
			Was: "bad", Source: source}
	}
	forged, seen := alert("Forged", incident.SourceAlertmanager, incident.P0), alert("errors", "app", incident.P1)
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("a", func(i *incident.Incident) { i.Severity, i.Alerts = incident.P0, []incident.Alert{forged} })
		time.Sleep(time.Hour)
		reads(t, rec, "nobody but the sender says so", " ")
		if got := r.receipt("a"); got.State != "investigating" || !got.Proposed {
			t.Errorf("%+v", got)
		}
		r.say("a", func(i *incident.Incident) { i.Public = incident.PublicAction{Publish: true} })
		time.Sleep(time.Minute)
		reads(t, rec, "a person says so", "investigating major_outage")
	})
	newsday(t, nil, func(t *testing.T, r *newsroom, rec *recorders.Recorder, _ *Statuspage) {
		r.say("b", func(i *incident.Incident) { i.Severity, i.Alerts = incident.P0, []incident.Alert{forged, seen} })
		time.Sleep(time.Hour)
		reads(t, rec, "watchdog sees less than the sender says", "investigating partial_outage")
	})
}
