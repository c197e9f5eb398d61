package ingest

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
		Fingerprint: "3f2a9d1b7c65e804", Receiver: "watchdog", GroupKey: `{}:{alertname="HighErrorRate"}`,
		Status: Firing,
		Labels: model.LabelSet{"alertname": "HighErrorRate", "namespace": "shop", "deployment": "cart",
			"severity": "P1"},
		Annotations:  model.LabelSet{"summary": "31% of the requests fail", "description": "two\nlines"},
		StartsAt:     time.Date(2026, 1, 1, 11, 58, 30, 123e6, time.UTC),
		GeneratorURL: "http://prometheus.monitoring:9090/graph?g0.expr=up",
		ReceivedAt:   t0, Sender: "am-eu",
	}, {
		Fingerprint: "77aa0c1d2e3f4a5b", Receiver: "watchdog", GroupKey: `{}:{alertname="HighErrorRate"}`,
		Status:   Resolved,
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
	if len(p.Alerts) != 2 || p.Alerts[0].Status != Firing || p.Alerts[1].Status != Resolved ||
		!p.Alerts[0].EndsAt.IsZero() {
		t.Fatalf("%+v", p.Alerts)
	}
	if a := p.Alerts[0]; a.Fingerprint != a.Labels.Fingerprint().String() {
		t.Errorf("without one the fingerprint is %q, want that of the labels, %s", a.Fingerprint,
			a.Labels.Fingerprint())
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
		{"an old version", strings.Replace(one(plain), `"4"`, `"3"`, 1), `unknown payload version "3"`},
		{"Grafana's version without its organisation", strings.Replace(one(plain), `"4"`, `"1"`, 1),
			`unknown payload version "1"`},
		{"a version that is a number", strings.Replace(one(plain), `"4"`, `4`, 1), "cannot unmarshal number"},
		{"no alerts", `{"version":"4","alerts":[]}`, "the payload has no alerts"},
		{"truncated below zero", `{"version":"4","truncatedAlerts":-1,"alerts":[{` + plain + `}]}`, "truncatedAlerts"},
		{"labels that are no strings", one(`"status":"firing","labels":{"a":1},"startsAt":"2026-01-01T12:00:00Z"`),
			"cannot unmarshal number"},
		{"a status that does not exist",
			one(`"status":"<b>pending</b>","labels":{"a":"1"},"startsAt":"2026-01-01T12:00:00Z"`),
			`alerts[0]: status "<b>pending</b>" is neither`},
		{"no labels", one(`"status":"firing","labels":{},"startsAt":"2026-01-01T12:00:00Z"`), "the alert has no labels"},
		{"no start", one(`"status":"firing","labels":{"a":"1"}`), "startsAt is missing"},
		{"a start that is no time", one(`"status":"firing","labels":{"a":"1"},"startsAt":"yesterday"`),
			"not an Alertmanager webhook"},
		{"a start far ahead", one(`"status":"firing","labels":{"a":"1"},"startsAt":"2026-01-03T12:00:00Z"`),
			"compare the clocks"},
		{"a million labels", one(`"labels":{` + many(1_000_000, `"l%d":"1"`) + `}`), "more than 1024 members"},
		{"no UTF-8", one(strings.Replace(plain, `"A"`, "\"\xff\"", 1)), "the body is not UTF-8"},
		{"nested deeply", strings.Repeat("[", 100_000), "nested more than 32 levels"},
		{"nested deeply in a field that is ignored", one(plain + `,"x":` + strings.Repeat(`{"x":`, 40) + "1" +
			strings.Repeat("}", 40)), "nested more than 32 levels"},
		{"10,001 alerts", `{"version":"4","alerts":[` + many(10_001, `{"labels":{"a":"%d"}}`) + `]}`,
			"more than 10000 alerts"},
		{"a million members", `{"version":"4","alerts":[` + many(9000,
			`{"labels":{"a%[1]d":"",`+many(60, `"b%d":""`)+`}}`) + `]}`, "more than 500000 members"},
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
		{"unknown and recent fields",
			`{"version":"4","notification_reason":{"x":[1]},"routeLabels":{"a":"b"},"alerts":[{` + plain +
				`,"new":null}]}`, func(a Alert) bool { return a.Fingerprint != "" }},
		{"a firing alert with an end has none", one(plain + `,"endsAt":"2026-01-01T11:00:00Z"`),
			func(a Alert) bool { return a.EndsAt.IsZero() }},
		{"an end that cannot be kept", one(strings.Replace(plain, "firing", "resolved", 1) +
			`,"endsAt":"9999-12-31T23:59:59-14:00"`), func(a Alert) bool { return a.EndsAt.IsZero() }},
		{"a label twice: the last counts",
			one(`"status":"firing","labels":{"a":"1","a":"2"},"startsAt":"2026-01-01T12:00:00Z"`),
			func(a Alert) bool { return a.Labels["a"] == "2" }},
		{"a long annotation is cut", one(plain + `,"annotations":{"d":"` + strings.Repeat("ä", 4000) + `"}`),
			func(a Alert) bool {
				d := string(a.Annotations["d"])
				return len(d) <= maxAnnotation && strings.HasSuffix(d, "ä…")
			}},
		{"an address that is too long is left out", one(plain + `,"generatorURL":"http://` + strings.Repeat("x", 3000) +
			`"`), func(a Alert) bool { return a.GeneratorURL == "" }},
		{"a fingerprint with a path in it is not kept", one(plain + `,"fingerprint":"../../x"`),
			func(a Alert) bool { return a.Fingerprint == a.Labels.Fingerprint().String() }},
		{"64 labels", one(`"status":"firing","labels":{` + many(64, `"l%d":"1"`) +
			`},"startsAt":"2026-01-01T12:00:00Z"`), func(a Alert) bool { return len(a.Labels) == 64 }},
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
		{"another sender, group and fingerprint", Alert{Labels: model.LabelSet{"c": "d", "a": "b"}, Sender: "x",
			GroupKey: "g", Fingerprint: "f"}, true},
		{"another value", Alert{Labels: model.LabelSet{"a": "b", "c": "e"}}, false},
		{"the border between name and value elsewhere", Alert{Labels: model.LabelSet{"ab": "", "c": "d"}}, false},
	} {
		if same := a.Key() == tc.b.Key(); same != tc.same {
			t.Errorf("%s: same is %v", tc.name, same)
		}
	}
}

// TestOneOddAlertCostsNoOther_X05: Alertmanager does not send a refused group again,
// so the critical alert beside an odd one must be taken.
func TestOneOddAlertCostsNoOther_X05(t *testing.T) {
	at := `"status":"firing","startsAt":"2026-01-01T12:00:00Z"`
	for _, tc := range []struct {
		name, odd        string
		cleaned, dropped int
		says             string
		right            func(Alert) bool
	}{
		{"a colour in a label", at + `,"labels":{"alertname":"B","msg":"\u001b[31mred\u001b[0m"}`, 1, 0,
			`label "msg" had control characters`, func(a Alert) bool { return a.Labels["msg"] == "red" }},
		{"a line break in a label", at + `,"labels":{"alertname":"B","msg":"a\nb"}`, 1, 0,
			`label "msg" had control characters`, func(a Alert) bool { return a.Labels["msg"] == "a b" }},
		{"a NUL in a label", at + `,"labels":{"alertname":"B\u0000"}`, 1, 0, `label "alertname" had control characters`,
			func(a Alert) bool { return a.Labels["alertname"] == "B " }},
		{"a label of 2 KiB", at + `,"labels":{"alertname":"B","msg":"` + strings.Repeat("ä", 1024) + `"}`, 1, 0,
			`label "msg" has 2048 bytes and was truncated`, func(a Alert) bool {
				return len(a.Labels["msg"]) <= maxValue &&
					len(a.Labels["msg"]) > 1000
			}},
		{"a bell and colours in an annotation", at +
			`,"labels":{"alertname":"B"},"annotations":{"summary":"\u001b[1mtwo\u001b[m\nlines\u0007"}`, 1, 0,
			`annotation "summary" had control characters`,
			func(a Alert) bool { return a.Annotations["summary"] == "two\nlines " }},
		{"a label and an annotation without a name", at + `,"labels":{"alertname":"B","":"1"},"annotations":{"":"1"}`,
			1, 0, "label without a name", func(a Alert) bool { return len(a.Labels) == 1 && len(a.Annotations) == 0 }},
		{"65 labels", at + `,"labels":{"zone":"b","alertname":"B",` + many(63, `"l%d":"1"`) + `}`, 1, 0,
			"it has 65 labels, of which 64 were kept", func(a Alert) bool {
				return len(a.Labels) == 64 &&
					a.Labels["alertname"] == "B"
			}},
		{"200 annotations", at + `,"labels":{"alertname":"B"},"annotations":{` + many(199, `"a%d":"1"`) +
			`,"summary":"s"}`, 1, 0, "it has 200 annotations",
			func(a Alert) bool { return len(a.Annotations) == 64 && a.Annotations["summary"] == "s" }},
		{"no labels", at + `,"labels":{}`, 0, 1, "the alert has no labels", nil},
		{"a label that is a number", at + `,"labels":{"alertname":"B","n":5}`, 0, 1, "cannot unmarshal number", nil},
		{"a start that is no time", `"status":"firing","startsAt":"yesterday","labels":{"alertname":"B"}`, 0, 1,
			"cannot parse", nil},
		{"no start", `"status":"firing","labels":{"alertname":"B"}`, 0, 1, "startsAt is missing", nil},
		{"a status that does not exist",
			`"status":"\u001b[1mpending","startsAt":"2026-01-01T12:00:00Z","labels":{"alertname":"B"}`, 0, 1,
			"is neither", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Decode([]byte(`{"version":"4","receiver":"r","alerts":[{`+tc.odd+`},{`+plain+`}]}`), "s", t0)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Alerts) != 2-tc.dropped || p.Alerts[len(p.Alerts)-1].Labels["alertname"] != "A" ||
				p.Alerts[0].Receiver != "r" {
				t.Fatalf("taken: %+v", p.Alerts)
			}
			if p.Warnings.Cleaned != tc.cleaned || p.Warnings.Dropped != tc.dropped || len(p.Warnings.Texts) != 1 ||
				!strings.Contains(p.Warnings.Texts[0], tc.says) {
				t.Errorf("odd: %+v, want %q", p.Warnings, tc.says)
			}
			if strings.ContainsAny(strings.Join(p.Warnings.Texts, ""), "\n\x00\x1b") {
				t.Errorf("no line for a log: %q", p.Warnings.Texts)
			}
			if tc.right != nil && !tc.right(p.Alerts[0]) {
				t.Errorf("%q", p.Alerts[0])
			}
		})
	}
}

func TestWhatIsCutStaysTwoAlerts_X05(t *testing.T) {
	long := strings.Repeat("x", 2000)
	a, _ := texts{"alertname": "A", "msg": model.LabelValue(long + "1")}.clean("label", true)
	b, _ := texts{"alertname": "A", "msg": model.LabelValue(long + "2")}.clean("label", true)
	if a["msg"] == b["msg"] {
		t.Error("two alerts have become one")
	}
	many := texts{"alertname": "A"}
	for k := range 100 {
		many[model.LabelName(fmt.Sprintf("l%03d", k))] = "1"
	}
	a, _ = many.clean("label", true)
	many["l099"] = "2"
	if b, _ = many.clean("label", true); a["watchdog_labels_left_out"] == b["watchdog_labels_left_out"] {
		t.Error("two alerts with many labels have become one")
	}
}
