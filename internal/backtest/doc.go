// Package backtest asks what a policy would have done with what was measured: which
// rules would have fired, what would have been done about it, which guards would have
// held it, who would have been paged. internal/replay plays, this package keeps count.
//
// History goes on as it was, whatever is done: no action cures anything here, so
// ladders are worked to their end as long as the condition lasted. That is the most a
// policy would have done, not what would have become of it.
package backtest
