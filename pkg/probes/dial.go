package probes

import (
	"net"

	"watchdog.io/watchdog/pkg/httpclient"
)

// newDialer returns the dialer of probes, which keep no connection. resolver nil is the
// system's.
func newDialer(resolver *net.Resolver) httpclient.Dialer {
	return httpclient.Dialer{Resolver: resolver, KeepAlive: -1}
}
