// Package rules judges: samples over time go in, alerts with a verdict come out.
//
// It owns the [Manager], which evaluates thresholds, rule files and objectives and holds
// their alerts; the pure state machines behind them; Prometheus' rule files as they are
// read; and the table of built-in expressions. It leaves looking to probes, samples to storage, asking to
// promql, and everything done about an alert to others: it never calls out but to say
// which targets have news.
//
// Its one rule: "could not look" is never "looks fine" and never "looks bad".
// Only a fresh, finite, single value per target, above its traffic floor, is
// judged; everything else is an unknown verdict, which neither fires an alert
// nor clears one.
//
// # Two kinds of rules
//
// A [Group] of a rule file or of an objective has [Rule] values that are evaluated as
// Prometheus does: what the expression gives is an alert. A [Threshold] is watchdog's own
// shape; all of them are one built-in group.
//
// # How a threshold judges a target
//
// A [Threshold] is an expression that gives one value per label `target`, and a
// bound. At each evaluation three kinds of question are asked, each for all
// targets at once: the value, the floors, and the time of the newest sample of
// each selector in the expressions. The answers of one target become one
// [Observation], and [Eval] moves the target's [State] on.
//
// # Windows
//
// $window in an expression is replaced by the threshold's window. The application's
// own service-level document is itself a sliding window, so the built-in
// response_time and error_rate average an average: their memory is the
// application's window plus the threshold's. Choose a short window (1m) where
// the application's window is long.
package rules
