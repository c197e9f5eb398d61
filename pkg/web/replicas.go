package web

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"watchdog.io/watchdog/pkg/httpclient"
)

// How many connections a replica has to the leader: not more than the leader takes from
// one address. What is more waits.
const (
	maxToLeader     = 64
	maxIdleToLeader = 8
)

// NewForward returns the way to the replica that leads. webConfig is the web configuration
// that all replicas have; leader is [Forward.Leader].
func NewForward(l *slog.Logger, webConfig string, leader func() (base string, self bool)) *Forward {
	var warned sync.Once
	return &Forward{
		Leader: leader, Client: httpclient.New(toReplicas(webConfig), forwardTimeout),
		Readable: func(leader string) {
			warned.Do(func() {
				l.Warn("forwarding senders' credentials to the leader over plain HTTP: anyone who can read the "+
					"network traffic can post alerts with them; use TLS between replicas (chart value web.tls, "+
					"or an https URL in --advertise-url)", "leader", leader)
			})
		},
	}
}

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
			VerifyConnection: func(s tls.ConnectionState) error { return trustPeer(webConfig, host, s) },
		})
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return c, nil
	}
	return t
}
