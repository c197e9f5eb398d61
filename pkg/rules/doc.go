// Package rules judges: samples over time go in, alerts with a verdict come out.
//
// It owns the table of built-in expressions, the pure state machine of one alert, and
// the loop that evaluates. It leaves looking to probes, samples to storage, asking to
// promql, and everything done about an alert to others: it never calls out but to say
// which targets have news.
//
// Its one rule: "could not look" is never "looks fine" and never "looks bad".
// Only a fresh, finite, single value per target, above its traffic floor, is
// judged; everything else is an unknown verdict, which neither fires an alert
// nor clears one.
//
// # How a target is judged
//
// A [Rule] is an expression that gives one value per label `target`, and a
// bound. At each evaluation three kinds of question are asked, each for all
// targets at once: the value, the floors, and the time of the newest sample of
// each selector in the expressions. The answers of one target become one
// [Observation], and [Eval] moves the target's [State] on.
//
// # Windows
//
// $window in an expression is replaced by the rule's window. The application's
// own service-level document is itself a sliding window, so the built-in
// response_time and error_rate average an average: their memory is the
// application's window plus the rule's. Choose a short rule window (1m) where
// the application's window is long.
package rules
