package receivers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/notify"
	"watchdog.io/watchdog/pkg/notify/statuspage"
)

// one is a receiver of a kind, and its peer.
type one struct {
	Kind
	config.Receiver
	notify.Notifier
	rec *recorders.Recorder
}

func (o one) sent() []recorders.Request { return o.rec.Requests(o.Kind.Name) }

// each checks a receiver of each kind. change may be nil.
func each(t *testing.T, change func(*config.Config), check func(t *testing.T, o one)) {
	t.Helper()
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			rec, cfg := notifytest.Side(t, k.Name)
			if change != nil {
				change(cfg)
			}
			ns, err := FromConfig(cfg, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			check(t, one{k, cfg.Receivers.All()[0], notifytest.Unpaced(ns)[0], rec})
		})
	}
}

// options calls do with each option of a receiver that is a text or a map of texts.
func options(r config.Receiver, do func(key string, v reflect.Value)) {
	v := reflect.ValueOf(r.Options).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if x := v.FieldByIndex(f.Index); key != "" && (x.Kind() == reflect.String ||
			x.Type() == reflect.TypeFor[map[string]string]()) {
			do(key, x)
		}
	}
}

func TestTheSameStateIsSentOnce(t *testing.T) {
	each(t, nil, func(t *testing.T, o one) {
		r := incident.Receipt{}
		for _, i := range []incident.Incident{notifytest.Trouble(), notifytest.Over(notifytest.Trouble())} {
			was := len(o.sent())
			r = notifytest.Tell(t, o, i, r)
			now := len(o.sent())
			i.Alerts = slices.Clone(i.Alerts)
			i.Alerts[0].Reason, i.UpdatedAt = "error rate 35% > 5%", notifytest.T0.Add(time.Hour) // a figure is no news
			if again := notifytest.Tell(t, o, i, r); again != r || len(o.sent()) != now {
				t.Errorf("%s, twice: receipt %+v, then %+v, and %d messages more", i.Phase, r, again, len(o.sent())-now)
			}
			if now == was {
				t.Errorf("%s: no message", i.Phase)
			}
		}
	})
}

func TestNobodyIsNotifiedOfWhatIsNotForThem(t *testing.T) {
	other, shared := notifytest.Trouble(), notifytest.Trouble()
	other.Severity = incident.P3
	shared.Shared, shared.Phase = true, incident.Frozen
	over := notifytest.Over(notifytest.Trouble())
	over.Alerts[0].Firing, over.Paged = false, true
	for name, i := range map[string]incident.Incident{"a severity that it does not take": other,
		"a part of another incident": shared, "the end of what it was not notified of": over} {
		each(t, nil, func(t *testing.T, o one) {
			r := notifytest.Tell(t, o, i, incident.Receipt{})
			if got := len(o.sent()) > 0 || notify.Notified(r); got != (i.Shared && o.Kind.Shared) {
				t.Errorf("notified of %s: %v; want %v (Shared of its row in receivers.Kinds)", name, got,
					i.Shared && o.Kind.Shared)
			}
		})
	}
}

func TestWhatIsConfiguredAsAFallbackIsOne(t *testing.T) {
	can := false
	each(t, func(c *config.Config) {
		can = false
		options(c.Receivers.All()[0], func(key string, v reflect.Value) {
			if key == "fallback_for" {
				can = true
				v.SetString("primary")
			}
		})
	}, func(t *testing.T, o one) {
		if _, is := o.Notifier.(notify.Fallback); is != can {
			t.Errorf("option fallback_for: %v; implements notify.Fallback: %v", can, is)
		}
		if can && (notify.StandsInFor(o.Notifier) != "primary" || o.FallbackFor() != "primary") {
			t.Errorf("fallback_for: primary, but the receiver stands in for %q and config says %q",
				notify.StandsInFor(o.Notifier), o.FallbackFor())
		}
	})
}

// A peer that refuses a request repeats it in its answer, as many servers do.
func TestASecretIsInNoErrorAndNoLog_SEC21(t *testing.T) {
	var logged bytes.Buffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(was)
	fails := func(t *testing.T, how string, n notify.Notifier) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := n.Notify(ctx, notifytest.Trouble(), incident.Receipt{})
		if p, ok := n.(*statuspage.Statuspage); ok && err == nil {
			err = p.Reach(ctx)
		}
		if text := fmt.Sprintf("%v %+v %s", err, r, &logged); err == nil || strings.Contains(text, notifytest.SecretMark) {
			t.Errorf("%s: a secret is shown, or no error: %s", how, text)
		}
	}
	each(t, nil, func(t *testing.T, o one) {
		options(o.Receiver, func(key string, v reflect.Value) {
			if strings.HasSuffix(key, "_file") && key != "ca_file" && v.String() == "" {
				t.Errorf("notifytest.Configure (internal/notifytest/side.go) leaves out %s: let it set every secret", key)
			}
		})
		for _, m := range []recorders.Mode{recorders.Refused, recorders.Limited, recorders.Broken, recorders.Hang,
			recorders.Reset, recorders.Expired} {
			o.rec.Set(o.Kind.Name, m)
			fails(t, string(m), o.Notifier)
		}
		var cfg config.Config
		notifytest.Configure(t, &cfg.Receivers, o.Kind.Name, "http://127.0.0.1:1", "127.0.0.1:1")
		ns, err := FromConfig(&cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		fails(t, "nobody listens", ns[0])
	})
}

func TestTheQuickReferenceIsOnEveryUrgentMessage(t *testing.T) {
	each(t, func(c *config.Config) {
		c.Contacts = []config.Contact{{Name: "Lead <!channel>", Phone: "+49 30 1234567", Slack: "#devops"}}
		c.Links = []config.Link{{Name: "dash|board", URL: "https://grafana.example.com/d/x?a=1&b=<2>|3"}}
		c.Runbook = &config.Runbook{URL: "https://wiki.example.com/runbook"}
	}, func(t *testing.T, o one) {
		for _, s := range []incident.Severity{incident.P0, incident.P1, incident.P2, incident.P3} {
			i, was := notifytest.Trouble(), len(o.sent())
			i.ID, i.Severity, i.Paged = "01"+strings.ToLower(string(s)), s, true
			r := notifytest.Tell(t, o, i, incident.Receipt{})
			urgent := (s == incident.P0 || s == incident.P1) && !o.Public()
			if len(o.sent()) == was && (urgent || !o.Public()) {
				t.Errorf("%s: no message, %+v", s, r)
			}
			for _, q := range o.sent()[was:] {
				text, markup := notifytest.Shown(t, q)
				for _, want := range []string{"Lead <!channel>", "+49 30 1234567", "grafana.example.com/d/x?a=1",
					"wiki.example.com/runbook"} {
					if got := strings.Contains(text+strings.Join(markup, "\n"), want); got != urgent {
						t.Errorf("%s: %q is shown: %v\n%s\n%q", s, want, got, text, markup)
					}
				}
				if strings.Contains(strings.Join(markup, ""), "channel") || strings.Contains(strings.Join(markup, ""), "<2>") {
					t.Errorf("%s: text of the configuration is markup: %q", s, markup)
				}
			}
		}
	})
}

func TestForeignTextIsShownAsItStands_SEC20(t *testing.T) {
	each(t, nil, func(t *testing.T, o one) {
		for phase := range byte(7) {
			i := notifytest.Foreign(notifytest.Hostile, phase, 1)
			i.ID = fmt.Sprint("01", phase) // that is watchdog's own
			notifytest.Tell(t, o, i, incident.Receipt{})
		}
		if len(o.sent()) == 0 {
			t.Error("no messages")
		}
		for _, q := range o.sent() {
			text, markup := notifytest.Shown(t, q)
			if got := strings.Contains(text, notifytest.Hostile); got == o.Public() {
				t.Errorf("text from elsewhere is shown as it stands: %v; want %v\n%s", got, !o.Public(), text)
			}
			for _, m := range markup {
				if strings.Contains(m, "evil") {
					t.Errorf("text from elsewhere is markup: %s", m)
				}
			}
		}
	})
}

// Undefined and watchdog check read Kind.texts: a template that is not among them fails when it is sent.
func TestEveryTemplateIsAmongTheTexts(t *testing.T) {
	each(t, nil, func(t *testing.T, o one) {
		var listed, parsed []string
		const bad = "{{ nonsense"
		options(o.Receiver, func(key string, v reflect.Value) {
			was := reflect.ValueOf(v.Interface())
			if v.Kind() == reflect.Map {
				v.Set(reflect.ValueOf(map[string]string{"x": bad}))
			} else {
				v.SetString(bad)
			}
			if _, err := o.build(o.Receiver, Shared{Now: time.Now}); err != nil && strings.Contains(err.Error(), "template:") {
				parsed = append(parsed, key)
			}
			if o.texts != nil {
				for _, text := range o.texts(o.Receiver) {
					if text.Text == bad {
						listed = append(listed, strings.TrimSuffix(text.Option, ": x"))
					}
				}
			}
			v.Set(was)
		})
		slices.Sort(listed)
		slices.Sort(parsed)
		if !slices.Equal(listed, parsed) || (o.texts == nil) != (len(parsed) == 0) {
			t.Errorf("its options that are templates are %v; texts of its row in receivers.Kinds has %v (nil: %v)", parsed,
				listed, o.texts == nil)
		}
	})
}

func TestNoReceiverConnectsToAMetadataService_S20(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, k := range Kinds() {
			var cfg config.Config
			notifytest.Configure(t, &cfg.Receivers, k.Name, "http://169.254.169.254", "169.254.169.254:25")
			options(cfg.Receivers.All()[0], func(key string, v reflect.Value) {
				if own && key == "ca_file" { // a transport of its own
					v.SetString(notifytest.Stranger(t))
				}
			})
			ns, err := FromConfig(&cfg, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ns[0].Notify(t.Context(), notifytest.Outage(), incident.Receipt{})
			if p, ok := ns[0].(*statuspage.Statuspage); ok {
				err = p.Reach(t.Context()) // it posts only what has lasted
			}
			if err == nil || !strings.Contains(err.Error(), "refusing to connect to 169.254.169.254:") {
				t.Errorf("%s: got %v", k.Name, err)
			}
		}
	}
}
