package probes

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/strutil"
)

// slot is an entry in the scheduler: its place in the turns and its last check.
type slot struct {
	entry Entry

	// Guarded by the Scheduler's mutex.
	next time.Time // the next turn
	due  time.Time // the turn being served
	busy business
	slow bool // the last check was

	mu      sync.Mutex
	gone    bool
	begun   uint64     // checks begun
	shown   uint64     // the check that status and samples come from
	stamped model.Time // of the last samples
	warned  bool       // of new names for which there is no room
	damper  *Damper
	status  Status
	kept    []kept
}

// business is why a slot cannot take its turn; the words are label values.
type business string

const (
	idle             business = ""
	waitingForWorker business = "waiting"
	running          business = "running"
)

func newSlot(entry Entry, first time.Time) *slot {
	return &slot{
		entry:  entry,
		next:   first,
		damper: NewDamper(entry.Damping),
		status: Status{Target: entry.Target, Probe: entry.Name, Kind: entry.Kind, Detail: "not probed yet"},
	}
}

func (sl *slot) forget() {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.gone = true
}

func (sl *slot) last() Status {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.status
}

// begin returns the number of a new check.
func (sl *slot) begin() uint64 {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.begun++
	return sl.begun
}

// check checks once. A check that is cut off because ctx ended saw nothing and
// leaves no trace; one that exceeds its own timeout is the probe's to judge.
func (s *Scheduler) check(ctx context.Context, sl *slot, counts bool) Status {
	number, at, began := sl.begin(), s.opts.Now(), time.Now()
	bounded, cancel := context.WithTimeout(ctx, sl.entry.Timeout)
	result := ask(bounded, s.opts.Logger, sl.entry, at)
	cancel()
	took := time.Since(began)
	if ctx.Err() != nil {
		return Status{}
	}
	s.metrics.looks.WithLabelValues(sl.entry.Kind, result.State.String()).Inc()
	s.metrics.duration.WithLabelValues(sl.entry.Kind).Observe(took.Seconds())
	return s.record(sl, number, Status{
		Target: sl.entry.Target, Probe: sl.entry.Name, Kind: sl.entry.Kind,
		State: result.State, Detail: result.Detail, Facts: result.Facts, Usage: result.Usage, At: at, Duration: took,
	}, result.Samples, counts)
}

// ask runs the probe. A probe that panics has not looked; the others go on.
func ask(ctx context.Context, logger *slog.Logger, entry Entry, at time.Time) (result Result) {
	defer func() {
		if reason := recover(); reason != nil {
			logger.Error("probe panicked", "target", entry.Target, "probe", entry.Name, "reason", reason, "stack",
				string(debug.Stack()))
			result = Result{Detail: oneLine(fmt.Sprintf("probe panicked: %v", reason))}
		}
	}()
	result, err := entry.Probe(ctx, at)
	if err != nil {
		result.State, result.Detail = Unknown, err.Error()
	}
	result.Detail = oneLine(result.Detail)
	return result
}

// record makes a check the last one and hands its samples on, in the order in
// which checks began: a slow check must not overwrite a newer one.
func (s *Scheduler) record(sl *slot, number uint64, seen Status, samples []*model.Sample, counts bool) Status {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	before := sl.damper.State()
	seen.Damped = before
	if sl.gone || number < sl.shown {
		return seen
	}
	seen, samples = s.fit(sl, seen, samples)
	if counts {
		seen.Damped = sl.damper.Add(seen.State)
	}
	samples = sl.entry.Samples(seen, samples)
	sl.stamp(samples, model.TimeFromUnixNano(seen.At.UnixNano()))
	sl.shown, sl.status, sl.kept = number, seen, keepAll(samples)
	s.opts.Append(samples)
	if seen.Damped != before {
		s.opts.Logger.Info("probe state changed", "target", seen.Target, "probe", seen.Probe,
			"from", before.String(), "to", seen.Damped.String(), "detail", seen.Detail)
	}
	return seen
}

// fit leaves out samples for which there is no room. An answer whose names are new each
// time is not understood: it is Unknown, unless it is Bad for another reason.
func (s *Scheduler) fit(sl *slot, seen Status, samples []*model.Sample) (Status, []*model.Sample) {
	fit, err := s.opts.Fits(sl.entry.labelled(samples))
	if err == nil {
		return seen, fit
	}
	detail := err.Error()
	if seen.State != OK {
		detail = strutil.Cut(seen.Detail, maxDetail/2) + "; " + detail
	}
	if seen.State == OK {
		seen.State = Unknown
	}
	seen.Detail = oneLine(detail)
	if !sl.warned {
		sl.warned = true
		s.opts.Logger.Warn("the application uses new names in every response; they are not stored", "target", seen.Target,
			"probe", seen.Probe, "err", err)
	}
	return seen, fit
}

// stamp keeps a second check within one millisecond: a series holds one sample
// per millisecond. A clock that was set back is left alone.
func (sl *slot) stamp(samples []*model.Sample, at model.Time) {
	if at <= sl.stamped && sl.stamped-at < model.Time(time.Second/time.Millisecond) {
		at = sl.stamped + 1
	}
	sl.stamped = at
	for _, sample := range samples {
		sample.Timestamp = at
	}
}

// Samples are what a check leaves: what the probe saw and what every check leaves,
// with the labels that tell one entry from another.
func (e Entry) Samples(seen Status, of []*model.Sample) []*model.Sample {
	return e.labelled(append(of, common(seen, seen.At)...))
}

// common are the samples that every check leaves. What is unknown has no value:
// neither success nor duration, for a quick failure to check is no quick answer.
func common(seen Status, at time.Time) []*model.Sample {
	samples := []*model.Sample{newSample(at, "watchdog_probe_unknown", truth(seen.State == Unknown))}
	if seen.State != Unknown {
		samples = append(samples,
			newSample(at, "probe_success", truth(seen.State == OK)),
			newSample(at, "probe_duration_seconds", seen.Duration.Seconds()))
	}
	if seen.Damped != Unknown {
		samples = append(samples, newSample(at, "watchdog_probe_healthy", truth(seen.Damped == OK)))
	}
	return samples
}
