package promql

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/common/config"

	"watchdog.io/watchdog/pkg/secretfile"
)

// secretFile is a secret that is read anew for every request, so that it may be rotated.
func secretFile(path string) config.SecretReader {
	if path == "" {
		return nil
	}
	return config.NewFileSecret(path)
}

// authenticated adds to each request what h says about who asks: basic
// authentication, an Authorization header, further headers.
func authenticated(h config.HTTPClientConfig, next http.RoundTripper) (http.RoundTripper, error) {
	if a := h.BasicAuth; a != nil {
		user := secretFile(a.UsernameFile)
		if user == nil {
			user = config.NewInlineSecret(a.Username)
		}
		next = config.NewBasicAuthRoundTripper(user, secretFile(a.PasswordFile), next)
	}
	if a := h.Authorization; a != nil {
		next = config.NewAuthorizationCredentialsRoundTripper(a.Type, secretFile(a.CredentialsFile), next)
	}
	if h.HTTPHeaders != nil {
		if err := h.HTTPHeaders.Validate(); err != nil {
			return nil, fmt.Errorf("prometheus http_headers: %w", err)
		}
		next = config.NewHeadersRoundTripper(h.HTTPHeaders, next)
	}
	return next, nil
}

// secured is t with the TLS settings of c. The files of a client certificate are
// read for each connection and that of the authorities for each request: both are
// renewed under a running process.
func secured(c config.TLSConfig, t *http.Transport) (http.RoundTripper, error) {
	conf := t.TLSClientConfig
	conf.ServerName, conf.InsecureSkipVerify = c.ServerName, c.InsecureSkipVerify
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, errors.New("prometheus: a client certificate needs both cert_file and key_file")
	}
	if c.CertFile != "" {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("read client certificate: %w", err)
			}
			return &pair, nil
		}
	}
	if c.CAFile == "" {
		return t, nil
	}
	pool, err := secretfile.Authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	conf.RootCAs = pool
	return config.NewTLSRoundTripper(conf, config.TLSRoundTripperSettings{CA: secretFile(c.CAFile)},
		func(conf *tls.Config) (http.RoundTripper, error) {
			own := t.Clone()
			own.TLSClientConfig = conf
			return own, nil
		})
}
