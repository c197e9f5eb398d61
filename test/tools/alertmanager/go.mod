// Alertmanager, for the comparison in `make bench-webhook`; a module of its own
// so that none of this is in watchdog's graph. hack/alertmanager builds it.
module watchdog.io/watchdog/test/tools/alertmanager

go 1.26.0

require github.com/prometheus/alertmanager v0.34.0
