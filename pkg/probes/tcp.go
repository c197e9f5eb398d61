package probes

import (
	"context"
	"fmt"
	"net"
	"time"

	"watchdog.io/watchdog/pkg/config"
)

// NewTCP returns the probe that opens a connection and closes it.
func NewTCP(conf config.TCPProbe, resolver *net.Resolver) (Probe, error) {
	host, port, err := net.SplitHostPort(conf.Address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("invalid address %q; use host:port", conf.Address)
	}
	dialer, what := newDialer(resolver), "connect to "+conf.Address
	return func(ctx context.Context, _ time.Time) (Result, error) {
		connection, err := dialer.DialContext(ctx, "tcp", conf.Address)
		if err != nil {
			return outcome(classify(what, connecting, err))
		}
		connection.Close()
		return Result{State: OK, Detail: "connected"}, nil
	}, nil
}
