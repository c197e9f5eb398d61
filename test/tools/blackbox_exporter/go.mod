// blackbox_exporter, for the comparison in `make bench-peers`; a module of its own so
// that none of this is in watchdog's graph. hack/blackbox_exporter builds it.
module watchdog.io/watchdog/test/tools/blackbox_exporter

go 1.26.0

require github.com/prometheus/blackbox_exporter v0.28.0
