package hints

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func body(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAlertmanagersPayloadIsRead(t *testing.T) {
	p, err := Decode(body(t, "alertmanager.json"), "am-eu", t0)
	if err != nil {
		t.Fatal(err)
	}
	want := Payload{Truncated: 3, Alerts: []Alert{{
		Fingerprint: "3f2a9d1b7c65e804", Receiver: "watchdog", GroupKey: `{}:{alertname="HighErrorRate"}`, Status: Firing,
		Labels:      model.LabelSet{"alertname": "HighErrorRate", "namespace": "shop", "deployment": "cart", "severity": "P1"},
		Annotations: model.LabelSet{"summary": "31% of the requests fail", "description": "two\nlines"},
		StartsAt:    time.Date(2026, 1, 1, 11, 58, 30, 123e6, time.UTC), GeneratorURL: "http://prometheus.monitoring:9090/graph?g0.expr=up",
		ReceivedAt: t0, Sender: "am-eu",
	}, {
		Fingerprint: "77aa0c1d2e3f4a5b", Receiver: "watchdog", GroupKey: `{}:{alertname="HighErrorRate"}`, Status: Resolved,
		Labels:   model.LabelSet{"alertname": "HighErrorRate", "namespace": "shop", "deployment": "till"},
		StartsAt: time.Date(2026, 1, 1, 11, 40, 0, 0, time.UTC), EndsAt: time.Date(2026, 1, 1, 11, 55, 0, 0, time.UTC),
		ReceivedAt: t0, Sender: "am-eu",
	}}}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
}

func TestGrafanasPayloadIsRead(t *testing.T) {
	p, err := Decode(body(t, "grafana.json"), "grafana", t0)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Alerts) != 2 || p.Alerts[0].Status != Firing || p.Alerts[1].Status != Resolved || !p.Alerts[0].EndsAt.IsZero() {
		t.Fatalf("%+v", p.Alerts)
	}
	if a := p.Alerts[0]; a.Fingerprint != a.Labels.Fingerprint().String() {
		t.Errorf("without one the fingerprint is %q, want that of the labels, %s", a.Fingerprint, a.Labels.Fingerprint())
	}
}

// one is a payload with one alert, whose fields are as given.
func one(fields string) string {
	return `{"version":"4","groupKey":"g","receiver":"r","alerts":[{` + fields + `}]}`
}

const plain = `"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-01-01T12:00:00Z"`

func many(n int, f string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(f, i)
	}
	return strings.Join(all, ",")
}

func TestWhatIsNoWebhookIsRefusedAndSaidWhy_F81(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"nothing", "", "not an Alertmanager webhook"},
		{"half of it", `{"version":"4","alerts":[{`, "not an Alertmanager webhook"},
		{"something after it", one(plain) + "x", "not an Alertmanager webhook"},
		{"an old version", strings.Replace(one(plain), `"4"`, `"3"`, 1), `version "3" of the payload is not known`},
		{"Grafana's version without its organisation", strings.Replace(one(plain), `"4"`, `"1"`, 1), `version "1" of the payload is not known`},
		{"a version that is a number", strings.Replace(one(plain), `"4"`, `4`, 1), "cannot unmarshal number"},
		{"no alerts", `{"version":"4","alerts":[]}`, "the payload has no alerts"},
		{"truncated below zero", `{"version":"4","truncatedAlerts":-1,"alerts":[{` + plain + `}]}`, "truncatedAlerts"},
		{"labels that are no strings", one(`"status":"firing","labels":{"a":1},"startsAt":"2026-01-01T12:00:00Z"`), "cannot unmarshal number"},
		{"a status that does not exist", one(`"status":"<b>pending</b>","labels":{"a":"1"},"startsAt":"2026-01-01T12:00:00Z"`), `alerts[0]: status "<b>pending</b>" is neither`},
		{"no labels", one(`"status":"firing","labels":{},"startsAt":"2026-01-01T12:00:00Z"`), "it has no labels"},
		{"no start", one(`"status":"firing","labels":{"a":"1"}`), "startsAt is missing"},
		{"a start that is no time", one(`"status":"firing","labels":{"a":"1"},"startsAt":"yesterday"`), "not an Alertmanager webhook"},
		{"a start far ahead", one(`"status":"firing","labels":{"a":"1"},"startsAt":"2026-01-03T12:00:00Z"`), "compare the clocks"},
		{"65 labels", one(`"status":"firing","labels":{` + many(65, `"l%d":"1"`) + `},"startsAt":"2026-01-01T12:00:00Z"`), "it has 65 labels; at most 64 are taken"},
		{"65 annotations", one(plain + `,"annotations":{` + many(65, `"l%d":"1"`) + `}`), "it has 65 annotations"},
		{"a million labels", one(`"labels":{` + many(1_000_000, `"l%d":"1"`) + `}`), "more than 128 members"},
		{"a value of 2 KiB", one(`"status":"firing","labels":{"a":"` + strings.Repeat("x", 2048) + `"},"startsAt":"2026-01-01T12:00:00Z"`), `label "a" has 2048 bytes`},
		{"a label without a name", one(`"status":"firing","labels":{"":"1"},"startsAt":"2026-01-01T12:00:00Z"`), "the name of a label has 0 bytes"},
		{"an annotation without a name", one(plain + `,"annotations":{"":"1"}`), "the name of an annotation has 0 bytes"},
		{"a NUL in a label", one(`"status":"firing","labels":{"a":"b\u0000"},"startsAt":"2026-01-01T12:00:00Z"`), `label "a" has a control character`},
		{"an escape sequence in a label", one(`"status":"firing","labels":{"a":"\u001b[2J"},"startsAt":"2026-01-01T12:00:00Z"`), `label "a" has a control character`},
		{"a bell in an annotation", one(plain + `,"annotations":{"a":"\u0007"}`), `annotation "a" has a control character`},
		{"no UTF-8", one(strings.Replace(plain, `"A"`, "\"\xff\"", 1)), "the body is not UTF-8"},
		{"nested deeply", strings.Repeat("[", 100_000), "nested more than 32 levels"},
		{"nested deeply in a field that is ignored", one(plain + `,"x":` + strings.Repeat(`{"x":`, 40) + "1" + strings.Repeat("}", 40)), "nested more than 32 levels"},
		{"10,001 alerts", `{"version":"4","alerts":[` + many(10_001, `{"labels":{"a":"%d"}}`) + `]}`, "more than 10000 alerts"},
		{"a million members", `{"version":"4","alerts":[` + many(9000, `{"labels":{"a%[1]d":"",`+many(60, `"b%d":""`)+`}}`) + `]}`, "more than 500000 members"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Decode([]byte(tc.body), "s", t0)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
			if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Errorf("the error is no line for a log: %q", err)
			}
		})
	}
}

func TestWhatSendersMayDoIsTaken(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		right      func(Alert) bool
	}{
		{"unknown and recent fields", `{"version":"4","notification_reason":{"x":[1]},"routeLabels":{"a":"b"},"alerts":[{` + plain + `,"new":null}]}`, func(a Alert) bool { return a.Fingerprint != "" }},
		{"a firing alert with an end has none", one(plain + `,"endsAt":"2026-01-01T11:00:00Z"`), func(a Alert) bool { return a.EndsAt.IsZero() }},
		{"an end that cannot be kept", one(strings.Replace(plain, "firing", "resolved", 1) + `,"endsAt":"9999-12-31T23:59:59-14:00"`), func(a Alert) bool { return a.EndsAt.IsZero() }},
		{"a label twice: the last counts", one(`"status":"firing","labels":{"a":"1","a":"2"},"startsAt":"2026-01-01T12:00:00Z"`), func(a Alert) bool { return a.Labels["a"] == "2" }},
		{"a long annotation is cut", one(plain + `,"annotations":{"d":"` + strings.Repeat("ä", 4000) + `"}`), func(a Alert) bool {
			d := string(a.Annotations["d"])
			return len(d) <= maxAnnotation && strings.HasSuffix(d, "ä…")
		}},
		{"an address that is too long is left out", one(plain + `,"generatorURL":"http://` + strings.Repeat("x", 3000) + `"`), func(a Alert) bool { return a.GeneratorURL == "" }},
		{"a fingerprint with a path in it is not kept", one(plain + `,"fingerprint":"../../x"`), func(a Alert) bool { return a.Fingerprint == a.Labels.Fingerprint().String() }},
		{"64 labels", one(`"status":"firing","labels":{` + many(64, `"l%d":"1"`) + `},"startsAt":"2026-01-01T12:00:00Z"`), func(a Alert) bool { return len(a.Labels) == 64 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Decode([]byte(tc.body), "s", t0)
			if err != nil || !tc.right(p.Alerts[0]) {
				t.Fatalf("%+v, %v", p.Alerts, err)
			}
			line := encode(record{Key: p.Alerts[0].Key(), State: Firing, Alert: &p.Alerts[0]})
			if h, err := firingHint(line); err != nil || h.Key() != p.Alerts[0].Key() {
				t.Errorf("it is not what it was after a stay on disk: %v", err)
			}
		})
	}
}

func TestTenThousandAlertsInOneBodyAreRead(t *testing.T) {
	text := `{"version":"4","alerts":[` + many(10_000, `{`+strings.Replace(plain, `"A"`, `"A%d"`, 1)+`}`) + `]}`
	p, err := Decode([]byte(text), "s", t0)
	if err != nil || len(p.Alerts) != 10_000 {
		t.Fatalf("%d alerts, %v", len(p.Alerts), err)
	}
}

func TestTheKeyIsOfTheLabelsAlone(t *testing.T) {
	a := Alert{Labels: model.LabelSet{"a": "b", "c": "d"}}
	for _, tc := range []struct {
		name string
		b    Alert
		same bool
	}{
		{"another sender, group and fingerprint", Alert{Labels: model.LabelSet{"c": "d", "a": "b"}, Sender: "x", GroupKey: "g", Fingerprint: "f"}, true},
		{"another value", Alert{Labels: model.LabelSet{"a": "b", "c": "e"}}, false},
		{"the border between name and value elsewhere", Alert{Labels: model.LabelSet{"ab": "", "c": "d"}}, false},
	} {
		if same := a.Key() == tc.b.Key(); same != tc.same {
			t.Errorf("%s: same is %v", tc.name, same)
		}
	}
}
