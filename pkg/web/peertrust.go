package web

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

// trustPeer returns nil if the other end of a TLS connection to host is another replica:
// if it has the key of the certificate that this one serves itself (its web configuration
// says which), or a certificate for host that the system's authorities vouch for. Pods
// share a Secret with one certificate, which seldom holds their addresses.
func trustPeer(webConfig, host string, s tls.ConnectionState) error {
	own, err := ownCertificate(webConfig)
	if e := vouched(own, nil, host, s.PeerCertificates); e != nil {
		return errors.Join(e, err)
	}
	return nil
}

// vouched returns nil if shown begins with the own certificate, or with one for host
// that the authorities vouch for; nil authorities are the system's.
func vouched(own []byte, authorities *x509.CertPool, host string, shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return errors.New("the replica presented no certificate")
	}
	if bytes.Equal(own, shown[0].Raw) {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	if _, err := shown[0].Verify(x509.VerifyOptions{DNSName: host, Roots: authorities,
		Intermediates: between}); err != nil {
		return fmt.Errorf("the replica's certificate is neither this replica's own nor signed by a trusted "+
			"authority: %w", err)
	}
	return nil
}

// ownCertificate returns the certificate that this replica serves, nil without one. It
// is read at each use, as the server does.
func ownCertificate(webConfig string) ([]byte, error) {
	if webConfig == "" {
		return nil, nil
	}
	b, err := os.ReadFile(webConfig)
	if err != nil {
		return nil, fmt.Errorf("web configuration: %w", err)
	}
	var c struct {
		TLS struct {
			Cert     string `yaml:"cert"`
			CertFile string `yaml:"cert_file"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("web configuration %s: %w", webConfig, err)
	}
	text := []byte(c.TLS.Cert)
	if f := c.TLS.CertFile; f != "" {
		if !filepath.IsAbs(f) {
			f = filepath.Join(filepath.Dir(webConfig), f)
		}
		if text, err = os.ReadFile(f); err != nil {
			return nil, fmt.Errorf("certificate of the web configuration: %w", err)
		}
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
	return nil, nil
}
