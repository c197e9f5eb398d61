package kube

import (
	"encoding/json"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/incident"
)

func TestWhatANewerWatchdogStoredIsNotGuessedAt_INV49(t *testing.T) {
	o := object{Metadata: metav1.ObjectMeta{Name: "01k3", ResourceVersion: "7"},
		Spec:   json.RawMessage(`{"target":{"name":"cart"}}`),
		Status: json.RawMessage(`{"format":2,"id":{"now":"an object"},"phase":["two"]}`)}
	st, err := decodeIncident(o)
	if err != nil || !st.Newer || st.Incident.ID != "01k3" || st.Incident.Target.Name != "cart" ||
		st.Incident.Phase != "" {
		t.Errorf("%+v, %v", st, err)
	}
	o.Status = json.RawMessage(`{"format":2,"ops":"none"}`)
	if _, err := decodeLedger(o); !errors.Is(err, incident.ErrNewer) {
		t.Errorf("%v", err)
	}
	// State of the first version had no format.
	o.Status = json.RawMessage(`{"id":"01k3","phase":"open"}`)
	if st, err := decodeIncident(o); err != nil || st.Newer || st.Incident.Phase != "open" {
		t.Errorf("%+v, %v", st, err)
	}
}
