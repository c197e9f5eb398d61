package probes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
)

type certificate struct{ endpoint }

// NewTLS returns the probe that looks at the certificates that a server sends.
func NewTLS(conf config.TLSProbe, resolver *net.Resolver) (Probe, error) {
	at, err := newEndpoint("tls", conf.Address, config.TLSClient{CAFile: conf.CAFile, ServerName: conf.ServerName},
		resolver)
	if err != nil {
		return nil, err
	}
	return (&certificate{at}).look, nil
}

func (c *certificate) look(ctx context.Context, at time.Time) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connection
	conf, err := c.tls()
	if err != nil {
		return Result{}, err
	}
	// A certificate that is refused has an expiry as well, so the handshake takes any.
	roots, name := conf.RootCAs, conf.ServerName
	conf.InsecureSkipVerify = true
	var during progress
	connection, err := c.open(ctx, conf, &during)
	if err != nil {
		if _, is := errors.AsType[tls.RecordHeaderError](err); is {
			return Result{}, fmt.Errorf("%s: the server does not speak TLS", c.what)
		}
		return outcome(c.failed(ctx, &during, err))
	}
	secure, ok := connection.(*tls.Conn)
	if !ok {
		return Result{}, fmt.Errorf("%s: connected without TLS", c.what)
	}
	chain := secure.ConnectionState().PeerCertificates
	invalid := verify(chain, roots, name, at)
	first := earliest(chain)
	r := Result{State: OK, Detail: fmt.Sprintf("certificate valid for %.1f days, until %s", first.NotAfter.Sub(at).Hours()/24,
		first.NotAfter.UTC().Format(time.RFC3339))}
	if invalid != nil {
		r, err = outcome(c.invalid(ctx, invalid))
	}
	r.Samples = chainSamples(first, invalid, at)
	return r, err
}

// chainSamples are those of a chain whose certificate first expires first.
func chainSamples(first *x509.Certificate, invalid error, at time.Time) []*model.Sample {
	return []*model.Sample{
		newSample(at, "probe_ssl_earliest_cert_expiry", float64(first.NotAfter.Unix())),
		newSample(at, "watchdog_tls_expiry_seconds", first.NotAfter.Sub(at).Seconds()),
		newSample(at, "watchdog_tls_verified", truth(invalid == nil)),
	}
}

// verify checks the chain, its dates and the name.
func verify(chain []*x509.Certificate, roots *x509.CertPool, name string, at time.Time) error {
	options := x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// earliest is the certificate of a chain that expires first.
func earliest(chain []*x509.Certificate) *x509.Certificate {
	first := chain[0]
	for _, c := range chain[1:] {
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return first
}

// invalid says what is wrong with a certificate. That it is for other names is what every
// user sees; an authority that is not known may be unknown to the probe alone.
func (c *certificate) invalid(ctx context.Context, err error) error {
	if other, is := errors.AsType[x509.HostnameError](err); is {
		return &badError{fmt.Sprintf("%s: %s", c.what, other.Error())}
	}
	var during progress
	during.set(handshaking)
	return c.failed(ctx, &during, err)
}
