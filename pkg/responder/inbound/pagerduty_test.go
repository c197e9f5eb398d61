package inbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// webhook is an event of PagerDuty's, version 3.
func webhook(id, kind, user, data string, at time.Time) string {
	agent := "null"
	if user != "" {
		agent = fmt.Sprintf(`{"html_url":"https://acme.pagerduty.com/users/%[1]s","id":%[1]q,`+
			`"self":"https://api.pagerduty.com/users/%[1]s","summary":"Tenex Engineer","type":"user_reference"}`, user)
	}
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"resource_type":"incident","occurred_at":%q,"agent":%s,`+
		`"client":null,"data":%s}}`, id, kind, at.Format(time.RFC3339Nano), agent, data)
}

const (
	pdIncident = `{"id":"PGR0VU2","type":"incident","number":2,"status":"acknowledged","incident_key":"01a1","title":"P1 shop: errors"}`
	pdNote     = `{"id":"PNOTE1","type":"incident_note","incident":{"id":"PGR0VU2","summary":"P1 shop: errors",` +
		`"type":"incident_reference"},"content":"the index\nis gone","trimmed":false}`
)

func (s *stage) pagerDuty(t *testing.T, body string, secrets ...string) int {
	t.Helper()
	var signatures []string
	for _, secret := range secrets {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(body))
		signatures = append(signatures, "v1="+hex.EncodeToString(m.Sum(nil)))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+PagerDutyPath,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-PagerDuty-Signature", strings.Join(signatures, ","))
	return send(t, req)
}

// X40: the key says as how grave the incident was told. A word on a lesser page is late.
func TestAnAcknowledgementOfALesserPageIsNone_X40(t *testing.T) {
	for key, want := range map[string]int{"01a1/P1": 1, "01a1/P3": 0, "01a1": 1} {
		s := newStage(t)
		s.pagerDuty(t, webhook("E1", "incident.acknowledged", "PALICE",
			strings.ReplaceAll(pdIncident, `"incident_key":"01a1"`, `"incident_key":"`+key+`"`), t0), "new")
		if (!s.words["01a1"].Acked.At.IsZero()) != (want == 1) {
			t.Errorf("%s: %+v", key, s.words)
		}
	}
}

func TestAnAcknowledgementInPagerDutyIsOneHere(t *testing.T) {
	s := newStage(t)
	if got := s.pagerDuty(t, webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0), "new"); got != 200 {
		t.Errorf("%d", got)
	}
	if m := s.words["01a1"].Acked; m.By != "alice@example.com" || m.Source != SourcePagerDuty {
		t.Errorf("%+v", m)
	}
	// Once more under another id, and from somebody else: it was taken.
	s.pagerDuty(t, webhook("E2", "incident.acknowledged", "PALICE", pdIncident, t0), "old", "new")
	if s.writes != 1 || s.counts["pagerduty ack refused"] != 1 {
		t.Errorf("%d writes, %v", s.writes, s.counts)
	}
	s.pagerDuty(t, webhook("E3", "incident.annotated", "PALICE", pdNote, t0), "new")
	if n := s.words["01a1"].Notes["pd-E3"]; n.By != "alice@example.com" || n.Reason != "the index is gone" {
		t.Errorf("%+v", s.words)
	}
	s.pagerDuty(t, webhook("E4", "incident.resolved", "PALICE", pdIncident, t0), "new")
	if n := s.words["01a1"].Notes["pd-E4"]; n.Reason != "resolved in PagerDuty" {
		t.Errorf("%+v", s.words)
	}
}

func TestWhoOnlyPagerDutyKnows(t *testing.T) {
	for _, tt := range []struct {
		name    string
		anybody bool
		body    string
		acked   string
		counts  string
	}{
		{"is refused", false, webhook("E1", "incident.acknowledged", "PEVE", pdIncident, t0),
			"", "pagerduty ack forbidden"},
		{"takes it on if the configuration says so", true, webhook("E1", "incident.acknowledged", "PEVE", pdIncident,
			t0), "pagerduty: Tenex Engineer (PEVE)", "pagerduty ack applied"},
		{"writes nothing down", true, webhook("E1", "incident.resolved", "PEVE", pdIncident, t0),
			"", "pagerduty note forbidden"},
		{"a service is nobody", true, strings.Replace(webhook("E1", "incident.acknowledged", "PEVE", pdIncident, t0),
			"user_reference", "service_reference", 1), "", ""},
		{"an integration is nobody", true, webhook("E1", "incident.acknowledged", "", pdIncident, t0), "", ""},
	} {
		s := newStage(t)
		s.pd.Anybody = tt.anybody
		if got := s.pagerDuty(t, tt.body, "new"); got != 200 || s.words["01a1"].Acked.By != tt.acked ||
			tt.counts != "" && s.counts[tt.counts] != 1 {
			t.Errorf("%s: %d, %+v, %v", tt.name, got, s.words, s.counts)
		}
	}
}

func TestAWebhookThatProvesNothingChangesNothing(t *testing.T) {
	good := webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0)
	for _, tt := range []struct {
		name, body string
		secrets    []string
		want       int
	}{
		{"forged", good, []string{"another"}, 401},
		{"unsigned", good, nil, 401},
		{"old", webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0.Add(-time.Hour-time.Second)),
			[]string{"new"}, 401},
		{"of the future", webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0.Add(6*time.Minute)),
			[]string{"new"}, 401},
		{"without a time", strings.Replace(good, `"occurred_at"`, `"then"`, 1), []string{"new"}, 401},
		{"no event", `{}`, []string{"new"}, 400},
		{"no JSON", `{"event":`, []string{"new"}, 400},
		{"huge", strings.Repeat(" ", maxVendorBody+1), []string{"new"}, 413},
		{"about nothing of ours", webhook("E1", "incident.acknowledged", "PALICE",
			`{"id":"P1","incident_key":"someone-elses"}`, t0), []string{"new"}, 200},
		{"of a kind that is no word", webhook("E1", "incident.escalated", "PALICE", pdIncident, t0), []string{"new"},
			200},
		{"a note of an incident that is not known", webhook("E1", "incident.annotated", "PALICE", pdNote, t0),
			[]string{"new"}, 200},
	} {
		s := newStage(t)
		if got := s.pagerDuty(t, tt.body, tt.secrets...); got != tt.want || s.writes != 0 {
			t.Errorf("%s: %d, %d writes", tt.name, got, s.writes)
		}
	}
	s := newStage(t)
	for k, want := range []int{200, 401} {
		if got := s.pagerDuty(t, good, "old"); got != want || s.writes != 1 {
			t.Errorf("the %d. time: %d, %d writes", k+1, got, s.writes)
		}
	}
}

// What could not be worked is taken when PagerDuty sends it again.
func TestAnEventThatCouldNotBeWorkedMayComeAgain(t *testing.T) {
	s := newStage(t)
	s.down = errors.New("away")
	good := webhook("E1", "incident.acknowledged", "PALICE", pdIncident, t0)
	if got := s.pagerDuty(t, good, "new"); got != 503 || s.counts["pagerduty ack failed"] != 1 {
		t.Errorf("%d, %v", got, s.counts)
	}
	s.down = nil
	if got := s.pagerDuty(t, good, "new"); got != 200 || s.writes != 1 {
		t.Errorf("%d, %d writes", got, s.writes)
	}
}

func TestWhatCameIsForgottenInTime(t *testing.T) {
	o := newOnce(time.Minute, 2)
	for _, tt := range []struct {
		key  string
		at   time.Duration
		want error
	}{
		{"a", 0, nil}, {"a", 59 * time.Second, errForged}, {"b", 30 * time.Second, nil},
		{"c", 40 * time.Second, errBusy}, // rather nothing than something twice
		{"c", time.Minute, nil}, {"b", 61 * time.Second, errForged}, {"a", 2 * time.Minute, nil},
	} {
		if got := o.first(tt.key, t0.Add(tt.at)); !errors.Is(got, tt.want) {
			t.Errorf("%s at %s: %v, want %v", tt.key, tt.at, got, tt.want)
		}
	}
}

func TestAPersonHasAPace(t *testing.T) {
	s := newStage(t)
	for k := range 14 {
		s.pagerDuty(t, webhook(fmt.Sprint("E", k), "incident.acknowledged", "PALICE", pdIncident, t0), "new")
	}
	refused := 0
	for _, r := range s.records {
		if strings.Contains(r.Text, "too many requests") {
			refused++
		}
	}
	if refused != 1 || s.counts["pagerduty ack refused"] != 13 { // all are counted, and the first is on record
		t.Errorf("%d refused for the pace, %v", refused, s.counts)
	}
	s.now = t0.Add(2 * time.Second)
	if got := s.pagerDuty(t, webhook("E20", "incident.resolved", "PALICE", pdIncident, t0), "new"); got != 200 ||
		s.counts["pagerduty note applied"] != 1 {
		t.Errorf("%d after a pause, %v", got, s.counts)
	}
}
