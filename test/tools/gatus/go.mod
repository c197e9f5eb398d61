// Gatus, for the comparison in `make bench-peers`; a module of its own so that none
// of this is in watchdog's graph. hack/gatus builds it.
module watchdog.io/watchdog/test/tools/gatus

go 1.26.0

require github.com/TwiN/gatus/v5 v5.35.0
