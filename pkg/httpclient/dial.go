package httpclient

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Dialer makes every connection of watchdog but those of client-go (SEC-15). It checks
// each address after the name is resolved, so that it also refuses a name that leads to
// a metadata service only the second time. Name servers are not checked: a node may run
// one on a link-local address. The zero value is usable.
type Dialer struct {
	// Timeout bounds one connection; 0: only the context does.
	Timeout time.Duration
	// KeepAlive is as in net.Dialer.
	KeepAlive time.Duration
	// Resolver resolves names; nil: the system's.
	Resolver *net.Resolver
}

// DialContext connects to address, or returns a ForbiddenError in a net.OpError.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: d.Timeout, KeepAlive: d.KeepAlive, Resolver: d.Resolver}
	dialer.Control = func(_, resolved string, _ syscall.RawConn) error { return check(address, resolved) }
	return dialer.DialContext(ctx, network, address)
}

// ForbiddenError says that watchdog does not connect to an address.
type ForbiddenError struct {
	Dialed  string // host and port as they were configured
	Address string // what they lead to
	Reason  string
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("refusing to connect to %s: %s is %s; configure the address of the service itself", e.Dialed,
		e.Address, e.Reason)
}

// check refuses a resolved address that is forbidden.
func check(dialed, resolved string) error {
	target, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return &ForbiddenError{dialed, resolved, "not an IP address"}
	}
	if reason := forbidden(target.Addr()); reason != "" {
		return &ForbiddenError{dialed, target.Addr().String(), reason}
	}
	return nil
}
