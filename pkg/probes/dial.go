package probes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

var errForbiddenAddress = errors.New("address may not be asked")

// newDialer returns a dialer that refuses addresses a probe has no business
// with (SEC-15). resolver nil is the system's.
func newDialer(resolver *net.Resolver) *net.Dialer {
	return &net.Dialer{Control: refuseForbidden, Resolver: resolver, KeepAlive: -1}
}

// refuseForbidden runs after resolution, so a name that resolves to a metadata
// service, at once or only the second time, is caught as well.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is not an IP address", errForbiddenAddress, address)
	}
	if reason := forbidden(target.Addr()); reason != "" {
		return fmt.Errorf("%w: %s is %s", errForbiddenAddress, target.Addr(), reason)
	}
	return nil
}

// forbidden says why an address may not be asked; empty: it may.
func forbidden(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return "not an address"
	case ip.IsUnspecified() || ip.Is4() && ip.As4()[0] == 0:
		return "unspecified"
	case ip.IsLinkLocalUnicast():
		return "link-local, where cloud metadata lives"
	case ip.IsMulticast():
		return "multicast"
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "broadcast"
	case slices.Contains(metadataAddresses(), ip):
		return "a cloud metadata service"
	}
	if inner, ok := embeddedIPv4(ip); ok {
		return forbidden(inner)
	}
	return ""
}

// metadataAddresses are the metadata services outside the link-local ranges:
// Alibaba, Azure's wire server, AWS over IPv6.
func metadataAddresses() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{100, 100, 100, 200}),
		netip.AddrFrom4([4]byte{168, 63, 129, 16}),
		netip.AddrFrom16([16]byte{0xfd, 0, 0x0e, 0xc2, 14: 0x02, 15: 0x54}),
	}
}

// embeddedIPv4 returns the IPv4 address that a gateway would make of an IPv6
// address: NAT64 (64:ff9b::/96), 6to4 (2002::/16), IPv4-compatible (::/96).
func embeddedIPv4(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() || ip.IsLoopback() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	low := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b}, [12]byte(b[:12]) == [12]byte{}:
		return low, true
	}
	return netip.Addr{}, false
}
