package httpclient

import "net/netip"

// forbidden says why watchdog does not connect to an address; empty: it does. Loopback
// and private addresses are allowed: a sidecar, and most services of a cluster, are there.
func forbidden(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return "not an IP address"
	case ip.IsUnspecified() || ip.Is4() && ip.As4()[0] == 0:
		return "an unspecified address"
	case ip.IsLinkLocalUnicast():
		return "a link-local address, where clouds serve credentials"
	case ip.IsMulticast():
		return "a multicast address"
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	case metadata[ip] != "":
		return "a cloud metadata service (" + metadata[ip] + ")"
	}
	if inner, ok := embeddedIPv4(ip); ok {
		return forbidden(inner)
	}
	return ""
}

// metadata are the services outside the link-local ranges that give a machine its
// credentials and settings.
var metadata = map[netip.Addr]string{
	netip.MustParseAddr("100.100.100.200"):    "Alibaba Cloud",
	netip.MustParseAddr("168.63.129.16"):      "Azure WireServer",
	netip.MustParseAddr("192.0.0.192"):        "Oracle Cloud Classic",
	netip.MustParseAddr("fd00:ec2::254"):      "AWS",
	netip.MustParseAddr("fd00:ec2::23"):       "AWS EKS Pod Identity",
	netip.MustParseAddr("fd20:ce::254"):       "Google Cloud",
	netip.MustParseAddr("fd00:c1::a9fe:a9fe"): "Oracle Cloud",
	netip.MustParseAddr("fd00:42::42"):        "Scaleway",
}

// ipv4Inside are the IPv6 ranges whose last four bytes are an IPv4 address: what a gateway
// or the kernel translates. IPv4-mapped addresses are unwrapped before.
var ipv4Inside = []netip.Prefix{
	netip.MustParsePrefix("::/96"),           // IPv4-compatible
	netip.MustParsePrefix("::ffff:0:0:0/96"), // IPv4-translated, RFC 2765
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64, RFC 6052
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64 of a site, RFC 8215
}

var sixToFour = netip.MustParsePrefix("2002::/16")

// embeddedIPv4 returns the IPv4 address that an IPv6 address leads to.
func embeddedIPv4(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() || ip.IsLoopback() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	if sixToFour.Contains(ip) {
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	for _, p := range ipv4Inside {
		if p.Contains(ip) {
			return netip.AddrFrom4([4]byte(b[12:16])), true
		}
	}
	return netip.Addr{}, false
}
