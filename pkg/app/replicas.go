package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/web"
)

// How many connections a replica has to the leader, for webhooks and for reads each:
// together not more than the leader takes from one address. What is more waits.
const (
	maxToLeader     = 64
	maxIdleToLeader = 8
)

// toReplicas returns the transport to the other replicas: they may show the certificate that
// this one has itself.
func toReplicas(webConfig string) *http.Transport {
	t := httpclient.NewTransport(httpclient.Options{MaxConnsPerHost: maxToLeader, MaxIdleConnsPerHost: maxIdleToLeader})
	dial := t.DialContext
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// VerifyConnection does all of the verification that is skipped.
		c := tls.Client(raw, &tls.Config{
			ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
			VerifyConnection: func(s tls.ConnectionState) error { return web.TrustPeer(webConfig, host, s) },
		})
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return c, nil
	}
	return t
}
