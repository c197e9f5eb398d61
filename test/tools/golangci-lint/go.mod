// golangci-lint, for `make lint`; a module of its own so that none of this is
// in watchdog's graph. hack/golangci-lint builds it.
module watchdog.io/watchdog/test/tools/golangci-lint

go 1.26.0

require github.com/golangci/golangci-lint/v2 v2.15.0
