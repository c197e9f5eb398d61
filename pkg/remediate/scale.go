package remediate

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/incident"
)

// defaultLease bounds a scale whose rung sets no lease: no change of watchdog is permanent.
const defaultLease = 2 * time.Hour

// The fields that scale writes, as leases name them.
const (
	replicasField    = "spec.replicas"
	minReplicasField = "spec.minReplicas"
)

// planScale adds replicas for the duration of a lease. It never removes any (INV-20), and it
// writes the autoscaler's minimum where an autoscaler owns the replicas (INV-27).
func planScale(f Facts) (incident.Plan, *incident.Answer) {
	if a := unfit(f, incident.ActionScale); a != nil {
		return incident.Plan{}, a
	}
	if a := failingPods(f, "scaling adds load and fixes nothing"); a != nil {
		return incident.Plan{}, a
	}
	if a := dependencyDown(f, incident.ActionScale); a != nil {
		return incident.Plan{}, a
	}
	if a := freshRelease(f, incident.ActionScale); a != nil {
		return incident.Plan{}, a
	}
	l := leverOf(f.Workload)
	want, err := wanted(l.now, f.Options)
	if err != nil {
		return refuse(incident.Skip, "%v", err)
	}
	if want <= l.now {
		return refuse(incident.Skip, "already at %d replicas, at least %d are requested: scale never removes replicas", l.now,
			want)
	}
	limit, why := ceiling(f)
	if limit <= l.now || limit <= l.value {
		return refuse(incident.Skip, "%d replicas are requested, but %s (currently %d)", want, why, l.now)
	}
	return l.plan(f, min(want, limit)), nil
}

// lever is the field that decides how many replicas run.
type lever struct {
	object incident.Object
	field  string
	value  int // what the field holds
	now    int // how many replicas are requested now, by workload or autoscaler
}

func leverOf(w Workload) lever {
	if h := w.HPA; h != nil {
		return lever{
			object: incident.Object{Group: "autoscaling", Version: "v2", Resource: autoscalers,
				Namespace: w.Target.Namespace,
				Name:      h.Name, UID: h.UID, ResourceVersion: h.ResourceVersion},
			field: minReplicasField, value: h.Min, now: max(h.Desired, h.Current, h.Min, w.Desired),
		}
	}
	return lever{object: deployment(w), field: replicasField, value: w.Desired, now: w.Desired}
}

// plan writes the new value, with the inverse and the lease that undo it.
func (l lever) plan(f Facts, value int) incident.Plan {
	lease := f.Options.Lease
	if lease <= 0 {
		lease = defaultLease
	}
	what := fmt.Sprintf("scale %s from %d to %d replicas for %s", f.Workload.Target, l.now, value, lease)
	if l.field == minReplicasField {
		what = fmt.Sprintf("scale %s from %d to %d replicas by raising the minimum of HPA %s from %d, for %s",
			f.Workload.Target, l.now, value, l.object.Name, l.value, lease)
	}
	return incident.Plan{
		Summary: what, Object: l.object,
		Patch: fieldPatch(l.field, value), Inverse: fieldPatch(l.field, l.original(f.Ledger)),
		Field: l.field, Before: strconv.Itoa(l.value), After: strconv.Itoa(value),
		Lease: lease, Price: value - l.now,
	}
}

// original is the value to revert to. If the field's value is itself leased, that is the
// value that the earlier lease would revert to: otherwise the later of two leases would
// make the earlier one permanent.
func (l lever) original(ledger incident.Ledger) int {
	for _, x := range ledger.Leases {
		if x.Plan.Object.UID == l.object.UID && x.Plan.Field == l.field && x.Plan.After == strconv.Itoa(l.value) {
			if v, err := fieldValue(x.Plan.Inverse, l.field); err == nil && v < l.value {
				return v
			}
		}
	}
	return l.value
}

// wanted returns how many replicas the options ask for, starting from now.
func wanted(now int, o Options) (int, error) {
	if o.By == "" && o.AtLeast <= 0 {
		return 0, fmt.Errorf("the rung sets neither `by` nor `at_least`: nothing to scale to")
	}
	want := o.AtLeast
	if o.By != "" {
		more, err := increase(now, o.By)
		if err != nil {
			return 0, err
		}
		want = max(want, now+more)
	}
	return want, nil
}

// increase returns how many replicas "25%" (rounded up, at least one) or "2" adds to now.
func increase(now int, by string) (int, error) {
	const limit = 10000
	number, percent := strings.CutSuffix(strings.TrimSpace(by), "%")
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > limit {
		return 0, fmt.Errorf("invalid `by: %s`: use a percentage or a number of replicas, such as 25%% or 2", by)
	}
	if percent {
		return max(1, int(math.Ceil(float64(now)*float64(n)/100))), nil
	}
	return n, nil
}

// ceiling returns the lowest of the limits, and which it is.
func ceiling(f Facts) (int, string) {
	limit, why := max(0, f.Settings.MaxReplicas), fmt.Sprintf("guards.max_replicas is %d", f.Settings.MaxReplicas)
	if o := f.Options.Max; o > 0 && o < limit {
		limit, why = o, fmt.Sprintf("the rung's max is %d", o)
	}
	if h := f.Workload.HPA; h != nil && h.Max <= limit {
		limit, why = h.Max, fmt.Sprintf("HPA %s allows at most %d", h.Name, h.Max)
		if max(h.Current, h.Desired) >= h.Max {
			why = fmt.Sprintf("HPA is at its maximum %d", h.Max)
		}
	}
	return limit, why
}

// fieldPatch sets spec.<name>.
func fieldPatch(field string, value int) []byte {
	return fmt.Appendf(nil, `{"spec":{%q:%d}}`, strings.TrimPrefix(field, "spec."), value)
}

// fieldValue reads what fieldPatch wrote.
func fieldValue(patch []byte, field string) (int, error) {
	var p struct {
		Spec map[string]json.Number `json:"spec"`
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return 0, fmt.Errorf("read patch of %s: %w", field, err)
	}
	v, err := strconv.Atoi(p.Spec[strings.TrimPrefix(field, "spec.")].String())
	if err != nil {
		return 0, fmt.Errorf("read patch of %s: %w", field, err)
	}
	return v, nil
}
