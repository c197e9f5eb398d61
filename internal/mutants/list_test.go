package mutants

// mutant is one bug: in File, Old becomes New.
type mutant struct {
	Name, File, Old, New string
}

// edit is a change of a file.
type edit struct{ File, Old, New string }

// seconds are the second places of bugs that two places prevent: with one of them left, the
// other prevents it, and there is nothing to object to.
var seconds = map[string]edit{
	"no data counts as breach":  {"pkg/incident/step.go", "	if lead.Verdict != Breach && !(lead.Verdict == Conflict", "	if lead.Verdict == OK && !(lead.Verdict == Conflict"},
	"a rollback is rolled back": {"pkg/remediate/rollback.go", "		if !good || !rec.GoodAt", "		if !good || rec.RestoredBy != \"\" || !rec.GoodAt"},
	"a storm is not remembered": {"pkg/engine/global.go", "	case g.storm != \"\":\n		what =", "	case g.storm == \"x\":\n		what ="},
}

// mutants are bugs that a hurried change could bring, and the downgrades of the op
// protocol.
var mutants = []mutant{
	// The op protocol.
	{"a write is sent again without looking", "pkg/incident/op.go", "		op.Phase = InDoubt\n		s.do(Find)\n	case Finished:", "		op.Phase = Sent\n		s.do(Act)\n	case Finished:"},
	{"a timeout counts as not applied", "pkg/engine/effects.go", "return incident.Found{At: e.o.Now(), Known: err == nil, Applied: applied}", "return incident.Found{At: e.o.Now(), Known: true, Applied: applied && false}"},
	{"nothing is reserved before the act", "pkg/incident/op.go", "	s.note(KindPlanned, e.Plan.Summary)\n	s.do(Reserve)", "	s.note(KindPlanned, e.Plan.Summary)\n	s.i.Op.Phase = Intent\n	s.prepare()"},
	{"the last look is left out", "pkg/incident/op.go", "	op := s.i.Op\n	if op.Plan.Class < C3 || op.Evidence != \"\" {\n		s.do(Recheck)", "	op := s.i.Op\n	if op.Plan.Class < C3 || op.Evidence != \"\" {\n		op.Phase = Sent\n		s.do(Act)"},
	{"the last look may be old", "pkg/engine/effects.go", "age > maxLookAge || age < 0", "age < 0"},
	{"an op is acted upon though it could not be recorded", "pkg/engine/effects.go", "	if err := e.o.Audit(rec); err != nil {\n		return incident.Acted", "	if err := e.o.Audit(rec); err != nil && rec.Op == \"\" {\n		return incident.Acted"},
	{"a finished op stays in the ledger", "pkg/incident/op.go", "	case Finished:\n		s.do(Release)", "	case Finished:"},
	{"two ops may be in flight on a target", "pkg/incident/ledger.go", "busy && other.ID != op.ID", "busy && other.ID == op.ID+\"x\""},
	{"what was reached is forgotten when it cannot be stored", "pkg/engine/save.go", "		en.inc, en.unsaved = inc, true", "		_ = inc"},
	{"what a stale leader left is not looked for", "pkg/engine/engine.go", "		return e.orphans(ctx)", "		return orphanLook, nil"},
	// Budgets.
	{"one op more than the budget", "pkg/incident/ledger.go", "	if n >= r.Count {", "	if n > r.Count {"},
	{"an applied op that did not help gives its budget back", "pkg/incident/ledger.go", "	if verdict == Aborted {\n		next.Spent", "	if verdict != Helped {\n		next.Spent"},
	{"the limit on ops at once is not asked", "pkg/incident/ledger.go", "	if n >= limit {", "	if n >= limit+100 {"},
	{"the kill switch is not asked", "pkg/incident/ledger.go", "	if l.Held(now) == nil {", "	if true {"},
	{"what an op disturbs is not budgeted (X100)", "pkg/incident/ledger.go", "	case op.Plan.Price <= 0 || n+op.Plan.Price <= r.Count:", "	case op.Plan.Price <= 0 || n <= 100*r.Count:"},
	// Guards.
	{"a hold is not asked", "pkg/remediate/guard_hold.go", "HoldOf(w.Annotations, f.Now); ok {", "HoldOf(w.Annotations, f.Now); ok && h.Reason == \"\" {"},
	{"the mode is not asked", "pkg/remediate/guard_mode.go", "	if mode == incident.Auto || mode == incident.Approve {", "	if mode != \"\" {"},
	{"nobody's approval is awaited", "pkg/remediate/guard_approval.go", "	if incident.Lowest(f.Mode) != incident.Approve {", "	if f.Mode != \"\" {"},
	{"any plan counts as approved", "pkg/remediate/guard_approval.go", "	case word.Plan != p.Hash:", "	case word.Plan == \"\":"},
	{"one approval is enough where two are wanted", "pkg/remediate/guard_approval.go", "need, yes, latest := max(1, f.Options.Approvals)", "need, yes, latest := min(1, max(1, f.Options.Approvals))"},
	{"an approved plan does not wait for an objection", "pkg/remediate/guard_approval.go", "f.Options.CoolOff > 0 && !begun", "f.Options.CoolOff > time.Hour && !begun"},
	{"a program counts as a person", "pkg/remediate/guard_approval.go", "case need > 1 && strings.HasPrefix(who, \"system:serviceaccount:\")", "case need > 9 && strings.HasPrefix(who, \"system:serviceaccount:\")"},
	{"another installation's claim is not asked", "pkg/remediate/guard_claim.go", "	case f.Installation:", "	case f.Installation, claimed:"},
	{"no data counts as breach", "pkg/remediate/guard_verdict.go", "	case a.Verdict != incident.Breach:", "	case a.Verdict == \"\":"},
	{"blindness is not asked", "pkg/remediate/guard_blind.go", "	if f.Blind != \"\" {", "	if f.Blind == \"x\" {"},
	{"a storm is not asked", "pkg/remediate/guard_unhealthy.go", "	if share := s.MaxUnhealthy * float64(watched); share > limit {", "	if share := 100 * s.MaxUnhealthy * float64(watched); share > limit {"},
	{"a storm is not remembered", "pkg/remediate/guard_unhealthy.go", "	case f.Storm != \"\":", "	case f.Storm == \"x\":"},
	{"one witness is enough", "pkg/remediate/guard_corroboration.go", "	case len(bad) >= 2:", "	case len(bad) >= 1:"},
	{"other owners are not asked", "pkg/remediate/guard_owner.go", "o := f.Workload.Owner; o != \"\"", "o := f.Workload.Owner; o == \"x\""},
	{"a person's change is overwritten", "pkg/remediate/guard_human.go", "		if m.At.Before(opened) ||", "		if m.At.Before(opened) || true ||"},
	{"a rollout in progress is not asked", "pkg/remediate/guard_rollout.go", "	case !w.RolloutInProgress():", "	case true:"},
	{"the availability floor is not asked", "pkg/remediate/guard_floor.go", "	case worst >= need:", "	case worst >= 0:"},
	// Rollback.
	{"a rollback is rolled back", "pkg/remediate/rollback.go", "if !ok || rec.RestoredBy == \"\" ||", "if !ok || rec.RestoredBy != \"x\" ||"},
	{"back to a revision that was never good", "pkg/remediate/rollback.go", "	case rec.GoodAt.IsZero():", "	case rec.UID == \"\":"},
	{"a deploy stays suspect forever", "pkg/remediate/rollback.go", "	case after > f.Settings.SuspectWindow:", "	case after > 1000*f.Settings.SuspectWindow:"},
	// Ladder, scale, leases.
	{"no stop-loss", "pkg/incident/step.go", "s.p.StopLoss > 0 && n >= s.p.StopLoss", "s.p.StopLoss > 0 && n >= 100*s.p.StopLoss"},
	{"a rung is taken again and again", "pkg/incident/op.go", "		if s.i.Alerts[k].Tries >= max(1, a.Ladder[op.Rung].Attempts) {", "		if s.i.Alerts[k].Tries >= 100 {"},
	{"scale knows no maximum", "pkg/remediate/scale.go", "	return l.plan(f, min(want, limit)), nil", "	return l.plan(f, want), nil"},
	{"a lease takes back what a person set", "pkg/remediate/revert.go", "	if have := strconv.Itoa(now.value); have != value {", "	if have := strconv.Itoa(now.value); have == \"x\" {"},
	{"leases never end", "pkg/engine/leases.go", "		if wait := l.ExpiresAt.Sub(e.o.Now()); wait > 0 && !undo {", "		if wait := l.ExpiresAt.Sub(e.o.Now()); wait > -100*time.Hour && !undo {"},
	// Again and again.
	{"a target that keeps coming back is never left to people", "pkg/incident/recur.go", "	case on && q.Incident != op.Incident:", "	case on && q.Incident == \"x\":"},
	{"the pause between incidents does not grow", "pkg/incident/recur.go", "		d *= 2", "		d += 0"},
	// Pods that take their time.
	{"pods that are still starting are judged (X102)", "pkg/incident/verdict.go", "	late = late && !op.comes(e.Rollout, at)", "	late = late && looks > 0"},
	{"a pod that waits for a node fails at once (X21)", "pkg/remediate/startup.go", "	case !p.Scheduled && young:", "	case !p.Scheduled && young && p.Ready:"},
	{"a pull that the registry throttles fails at once (X21)", "pkg/remediate/startup.go", "		if young && !hopelessPull(p.WaitingFor) {", "		if young && p.Ready && !hopelessPull(p.WaitingFor) {"},
	{"pods that are terminating count as a rollout (X22)", "pkg/remediate/workload.go", "		if !p.Terminating {", "		if !p.Terminating || p.Revision != \"\" {"},
	{"what ended by itself counts as helped (X105)", "pkg/incident/verdict.go", "op.Well >= looks && op.byItself():", "op.Well >= 100*looks && op.byItself():"},
	{"no cooldown between incidents", "pkg/incident/ledger.go", "	if since < need {", "	if since < 0 {"},
	{"what somebody undid is done again", "pkg/remediate/guard_conflict.go", "		if !undone(f.Workload, m) {", "		if m.Op != \"\" || !undone(f.Workload, m) {"},
	{"a field goes to and fro", "pkg/remediate/guard_oscillation.go", "m.From != p.After {", "m.From != p.After+\"x\" {"},
	{"disruptive ops begin at once", "pkg/incident/recur.go", "!last.IsZero() && since < need {", "!last.IsZero() && since < 0 {"},
	{"a storm is over as soon as it is calm", "pkg/engine/global.go", "now.Sub(g.calmSince) >= stormCalm:", "now.Sub(g.calmSince) >= 0:"},
	{"a storm is nobody's", "pkg/engine/self.go", "		rule(\"storm\", g.storm, g.storm != \"\", g.stormSince),", "		rule(\"storm\", g.storm, g.storm == \"x\", g.stormSince),"},
	{"what did harm stays until its lease ends", "pkg/incident/ledger.go", "	if verdict == Harmed {", "	if verdict == \"x\" {"},
	{"the host's clock is believed", "pkg/engine/clock.go", "	if off.Abs() <= maxSkew {", "	if off.Abs() <= 1<<62 {"},
	// Judging and telling.
	{"what a remedy has ended starts a ladder of its own (A0, X92)", "pkg/incident/remedy.go", "	case !at.Before(settled.Add(a.Lookback)):", "	case at.After(r.At):"},
	{"NaN is not an error", "pkg/rules/eval.go", "	if o.Unknown == \"\" && !finite(o.Value) {", "	if o.Unknown == \"never\" {"},
	{"a server's samples are too old after 45 seconds (X10)", "pkg/rules/late.go", "		return promql.Lookback\n", "		return min(promql.Lookback, 45*time.Second)\n"},
	{"a restarting Prometheus pages at once (X16)", "pkg/engine/global.go", "b.blindSum >= cmp.Or(tolerance, blindFor)", "b.blindSum >= cmp.Or(min(tolerance, time.Second), blindFor)"},
	{"a partial answer passes for a whole one (X13)", "pkg/promql/partial.go", "answer.IsPartial != nil && answer.IsPartial != false", "answer.IsPartial == 0"},
	{"silence is never good news (X12)", "pkg/rules/writer.go", "				a.silent[k] = yes\n", "				a.silent[k] = yes && false\n"},
	{"a probe without an answer is not reported (X11)", "pkg/rules/builtin.go", "Expr:   `sum by (target) (watchdog_probe_unknown)`", "Expr: `sum by (target) (0 * watchdog_probe_unknown)`"},
	{"blindness clears an alert", "pkg/incident/step.go", "	return !slices.ContainsFunc(s.i.Alerts, func(a Alert) bool { return a.Firing })", "	return !slices.ContainsFunc(s.i.Alerts, func(a Alert) bool { return a.Firing && !a.Verdict.Unknown() })"},
	{"nobody is paged at the end of the ladder", "pkg/incident/step.go", "	if page {\n		s.page(reason)\n	} else {", "	if page && reason == \"\" {\n		s.page(reason)\n	} else {"},
	{"nobody is paged when all is handed over", "pkg/incident/step.go", "	s.i.NextAt, s.i.HeldSince = time.Time{}, time.Time{}\n	s.page(reason)", "	s.i.NextAt, s.i.HeldSince = time.Time{}, time.Time{}\n	s.note(KindHandedOver, reason)"},
	{"an acknowledgement answers a graver severity (X40)", "pkg/incident/deadlines.go", "	void := !had.At.IsZero() && s.i.Severity.Worse(had.Severity)", "	void := !had.At.IsZero() && had.Severity == \"x\""},
	{"a graver severity is the same page (X40)", "pkg/notify/pagerduty/events.go", "	case !open || state == \"triggered\" && notify.Rings(i, prev):", "	case !open:"},
	{"connections are not tried (X101)", "pkg/httpclient/httpclient.go", "	PingAfter   = 15 * time.Second", "	PingAfter   = 0 * time.Second"},
	{"a forgotten hold keeps a breach from everybody (X103)", "pkg/incident/hold.go", "	if held := s.at.Sub(s.i.OnHoldSince); s.p.HoldLimit > 0 &&", "	if held := s.at.Sub(s.i.OnHoldSince); s.p.HoldLimit < 0 &&"},
	// External alerts (X01, X02, X03).
	{"a new leader does not work what is not watched (X01)", "pkg/engine/engine.go", "	for _, n := range setup.others() {", "	for _, n := range setup.others()[:0] {"},
	{"a resolved alert that another leader received is ignored (X01)", "pkg/ingest/draft.go", "	case was == nil:\n		// Not received here: another leader may have it, and stored an incident.\n		d.set(k, was, e, nil)\n		d.news = append(d.news, AlertState{Alert: a, State: Resolved, SeenAt: d.now})", "	case was == nil:\n		d.set(k, was, e, nil)"},
	{"nobody reads the name of a pod that is gone (X03)", "pkg/ingest/resolve.go", "if len(w.Name) > length && podNameOf", "if len(w.Name) > length+1000 && podNameOf"},
	{"one odd alert costs its whole group (X05)", "pkg/ingest/decode.go", "			odd.Dropped++\n			odd.note(n, err.Error())", "			return Payload{}, err"},
	{"severity falls by itself", "pkg/incident/step.go", "	if a.Severity.Worse(s.i.Severity) {", "	if a.Severity != s.i.Severity {"},
	// What a release brings beside its image.
	{"a Service that would lose its endpoints is not asked (X20)", "pkg/remediate/guard_service.go", "			if ok && have == want {", "			if ok || have == want {"},
	{"fewer endpoints are no harm (X20)", "pkg/incident/endpoints.go", "n < then[name] && n < r.Ready", "n < then[name] && n < 0"},
	{"a rollback that did harm stays (X20)", "pkg/incident/ledger.go", "	if op.Plan.Lease <= 0 && !(verdict == Harmed && op.TakeBack) ||", "	if op.Plan.Lease <= 0 ||"},
	{"an autoscaler that a ScaledObject owns is written (X23)", "pkg/remediate/guard_owner.go", "	if h.Owner != \"\" && p.Object.Resource", "	if h.Owner == \"x\" && p.Object.Resource"},
	{"back to what would start the same (X24)", "pkg/remediate/same.go", "errY == nil && bytes.Equal(x, y)", "errY == nil && bytes.Equal(x, append(y, ' '))"},
	{"a ConfigMap that is gone is not missed (X25)", "pkg/remediate/guard_reference.go", "	case f.References[k].Gone:", "	case f.References[k].Name == \"\":"},
	{"a release is as old as its ReplicaSet (X26)", "pkg/remediate/revision.go", "	case rec.CurrentAt.After(r.CreatedAt):", "	case rec.CurrentAt.After(r.CreatedAt.Add(1000 * time.Hour)):"},
	{"what is being deleted is written (X27)", "pkg/remediate/guard_deletion.go", "	if !w.Deleting.IsZero() {", "	if !w.Deleting.IsZero() && w.Target.UID == \"\" {"},
	{"a release deployed again counts as restored (A8)", "pkg/remediate/rollback.go", "		case strings.HasPrefix(rec.RestoredBy, \"op \"):", "		case strings.HasPrefix(rec.RestoredBy, \"\"):"},
}
