package web

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"
)

func TestAReplicaShowsTheCertificateOfAllOrOneThatIsVouchedFor_S23(t *testing.T) {
	dir, ours, theirs := t.TempDir(), authority(t), authority(t)
	issued := func(c *ca, name string) *x509.Certificate {
		c.issue(t, dir, name)
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	own, vouchedFor, strange := issued(ours, "server"), issued(ours, "other"), issued(theirs, "stranger")
	for _, tt := range []struct {
		name  string
		own   []byte
		host  string
		shown []*x509.Certificate
		want  bool
	}{
		{"the one that all serve, whatever the address", own.Raw, "10.0.0.7", []*x509.Certificate{own}, true},
		{"another, vouched for, at its address", own.Raw, "127.0.0.1", []*x509.Certificate{vouchedFor}, true},
		{"another, vouched for, at another address", own.Raw, "10.0.0.7", []*x509.Certificate{vouchedFor}, false},
		{"a stranger's at the right address", own.Raw, "127.0.0.1", []*x509.Certificate{strange}, false},
		{"a stranger's with that of all behind it", own.Raw, "10.0.0.7", []*x509.Certificate{strange, own}, false},
		{"that of all, if this one has none", nil, "10.0.0.7", []*x509.Certificate{own}, false},
		{"none", nil, "127.0.0.1", nil, false},
	} {
		if err := vouched(tt.own, ours.pool, tt.host, tt.shown); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
