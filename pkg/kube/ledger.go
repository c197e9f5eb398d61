package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// ledgerName is the object with the kill switch and the ops in flight.
const ledgerName = "watchdog"

// ledgerSpec is the part of the ledger that people write.
type ledgerSpec struct {
	Hold   json.RawMessage                 `json:"hold,omitempty"`
	Lifted map[string]string               `json:"lifted,omitempty"`
	Undo   map[string]incident.Attribution `json:"undo,omitempty"`
}

// Ledger returns the ledger and the version for SwapLedger. A missing one is
// created, empty, so that a person always finds something to put a hold on; who
// may not create gets an empty one with version "", and so does a store of OpenStore.
func (s *Store) Ledger(ctx context.Context) (incident.Ledger, string, error) {
	o, err := s.get(ctx, "ledgers", ledgerName)
	if apierrors.IsNotFound(err) && s.reading {
		return incident.Ledger{}, "", nil
	}
	if apierrors.IsNotFound(err) {
		version, err := s.create(ctx, "ledgers", emptyLedger(nil))
		switch {
		case errors.Is(err, incident.ErrConflict):
			return s.Ledger(ctx)
		case errors.Is(err, ErrFenced), apierrors.IsForbidden(err):
			return incident.Ledger{}, "", nil
		}
		return incident.Ledger{}, version, err
	}
	if err != nil {
		return incident.Ledger{}, "", explain(s.request("get", "ledgers", ledgerName), err)
	}
	l, err := decodeLedger(o)
	if err != nil {
		return incident.Ledger{}, "",
			fmt.Errorf("read ledger %s/%s: %w; watchdog takes no actions until it can read it", s.namespace, ledgerName,
				err)
	}
	return l, o.Metadata.ResourceVersion, nil
}

func emptyLedger(status json.RawMessage) object {
	return object{Kind: "Ledger", Metadata: metav1.ObjectMeta{Name: ledgerName}, Spec: json.RawMessage(`{}`),
		Status: status}
}

func decodeLedger(o object) (incident.Ledger, error) {
	var l incident.Ledger
	if n := formatOf(o.Status); n > format {
		return l, fmt.Errorf("unsupported format %d (this version supports %d): %w", n, format, incident.ErrNewer)
	}
	if len(o.Status) > 0 {
		if err := json.Unmarshal(o.Status, &l); err != nil {
			return l, fmt.Errorf("decode status: %w", err)
		}
	}
	for _, op := range l.Ops {
		if op.ID == "" {
			return l, fmt.Errorf("decode status: an op on %s has no id", op.Plan.Target)
		}
	}
	var spec ledgerSpec
	if len(o.Spec) > 0 {
		if err := json.Unmarshal(o.Spec, &spec); err != nil {
			return l, fmt.Errorf("decode spec: %w", err)
		}
	}
	l.Hold, l.Lifted, l.Undo = nil, spec.Lifted, spec.Undo
	if len(spec.Hold) > 0 && string(spec.Hold) != "null" {
		l.Hold = &incident.Attribution{}
		if json.Unmarshal(spec.Hold, l.Hold) != nil {
			// Whatever somebody wrote there, they wanted it to stop.
			l.Hold = &incident.Attribution{Reason: "the hold could not be read: " +
				string(spec.Hold[:min(len(spec.Hold), 100)])}
		}
	}
	return l, nil
}

// SwapLedger replaces the ledger read under version and returns the new version,
// or incident.ErrConflict. What people say in it is not written: only they do.
func (s *Store) SwapLedger(ctx context.Context, l incident.Ledger, version string) (string, error) {
	l.Hold, l.Lifted, l.Undo, l.Format = nil, nil, nil, format
	status, err := encodeStatus(l, maxObject)
	if err != nil {
		return "", fmt.Errorf("store ledger: %w", err)
	}
	if version == "" {
		return s.create(ctx, "ledgers", emptyLedger(status))
	}
	return s.swap(ctx, "ledgers", ledgerName, version, status)
}

// HoldAll sets the kill switch. It takes effect with the write: a reservation
// that read the ledger before loses its compare-and-swap (INV-25).
// It ends by itself at until, if that is not zero.
func (s *Store) HoldAll(ctx context.Context, by incident.Attribution) error {
	// Every part is written: a patch keeps of an earlier hold what it does not name.
	hold := whole(by, map[string]any{"at": by.At.UTC().Truncate(time.Second), "until": nil})
	if !by.Until.IsZero() {
		hold["until"] = by.Until.UTC().Truncate(time.Second)
	}
	return s.mark(ctx, map[string]any{"hold": hold})
}

// Lift ends the quarantine of the target that the given op completed.
func (s *Store) Lift(ctx context.Context, target, op string) error {
	return s.mark(ctx, map[string]any{"lifted": map[string]string{target: op}})
}

// Undo asks the leader to take back what the op changed, now.
func (s *Store) Undo(ctx context.Context, op string, by incident.Attribution) error {
	by.At = by.At.UTC().Truncate(time.Second)
	return s.mark(ctx, map[string]any{"undo": map[string]incident.Attribution{op: by}})
}

// ResumeAll lifts the kill switch.
func (s *Store) ResumeAll(ctx context.Context) error {
	return s.mark(ctx, map[string]any{"hold": nil})
}

// mark patches the ledger's spec and nothing else, so it needs no version and
// cannot lose to the daemon's writes.
func (s *Store) mark(ctx context.Context, spec map[string]any) error {
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return fmt.Errorf("encode ledger patch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err = s.write(ctx, "ledgers", ledgerName, patch)
	if apierrors.IsNotFound(err) {
		if _, err := s.create(ctx, "ledgers", emptyLedger(nil)); err != nil && !errors.Is(err, incident.ErrConflict) {
			return err
		}
		err = s.write(ctx, "ledgers", ledgerName, patch)
	}
	return explain(s.request("patch", "ledgers", ledgerName), err)
}

// recordsStatus is what the ledger object of a namespace's revisions holds.
type recordsStatus struct {
	Records map[string][]remediate.Record `json:"records"`
}

func recordsName(namespace string) string { return "revisions-" + namespace }

// Records returns what is remembered of the revisions of a namespace's
// workloads, by target, and the version for SwapRecords; "" if there is nothing yet.
func (s *Store) Records(ctx context.Context, namespace string) (map[string][]remediate.Record, string, error) {
	o, err := s.get(ctx, "ledgers", recordsName(namespace))
	if apierrors.IsNotFound(err) {
		return map[string][]remediate.Record{}, "", nil
	}
	if err != nil {
		return nil, "", explain(s.request("get", "ledgers", recordsName(namespace)), err)
	}
	st := recordsStatus{}
	if len(o.Status) > 0 {
		if err := json.Unmarshal(o.Status, &st); err != nil {
			return nil, "", fmt.Errorf("read ledger %s/%s: decode status: %w", s.namespace, recordsName(namespace), err)
		}
	}
	if st.Records == nil {
		st.Records = map[string][]remediate.Record{}
	}
	return st.Records, o.Metadata.ResourceVersion, nil
}

// SwapRecords replaces the records read under version and returns the new
// version, or incident.ErrConflict.
func (s *Store) SwapRecords(ctx context.Context, namespace string, records map[string][]remediate.Record,
	version string) (string, error) {
	status, err := encodeStatus(recordsStatus{records}, maxRecordsObject)
	if err != nil {
		return "", fmt.Errorf("store revision records of namespace %s: %w", namespace, err)
	}
	if version != "" {
		return s.swap(ctx, "ledgers", recordsName(namespace), version, status)
	}
	return s.create(ctx, "ledgers", object{Kind: "Ledger", Metadata: metav1.ObjectMeta{Name: recordsName(namespace)},
		Spec: json.RawMessage(`{}`), Status: status})
}
