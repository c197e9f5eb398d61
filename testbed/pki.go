//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority issues the certificates of one control plane.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// subject is one certificate to issue: file name, common name, organisation, and the names it serves.
type subject struct {
	file, name, group string
	hosts             []string
}

var subjects = []subject{
	{"apiserver", "kube-apiserver", "", []string{"127.0.0.1",
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"}},
	{"admin", "admin", "system:masters", nil},
	{"kcm", "system:kube-controller-manager", "", nil},
	{"scheduler", "system:kube-scheduler", "", nil},
	{"kubelet", "system:node:" + firstNode, "system:masters", []string{"127.0.0.1", "localhost"}},
	{"apiserver-kubelet", "kube-apiserver", "system:masters", nil},
}

// writePKI writes every key and certificate of a control plane into dir.
func writePKI(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template("testbed-ca")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	a := &authority{dir: dir, cert: cert, key: key}
	errs := []error{a.write("ca.crt", "CERTIFICATE", der), a.serviceAccountKeys()}
	for _, s := range subjects {
		errs = append(errs, a.issue(s))
	}
	return errors.Join(errs...)
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		serial = big.NewInt(time.Now().UnixNano())
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
}

func (a *authority) write(file, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (a *authority) writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return a.write(file, "EC PRIVATE KEY", der)
}

func (a *authority) issue(s subject) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template(s.name)
	if s.group != "" {
		t.Subject.Organization = []string{s.group}
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth,
		x509.ExtKeyUsageServerAuth}
	for _, h := range s.hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		t.DNSNames = append(t.DNSNames, h)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", s.name, err)
	}
	return errors.Join(a.write(s.file+".crt", "CERTIFICATE", der), a.writeKey(s.file+".key", key))
}

// serviceAccountKeys writes the pair that signs and checks ServiceAccount tokens.
func (a *authority) serviceAccountKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(a.writeKey("sa.key", key), a.write("sa.pub", "PUBLIC KEY", pub))
}

// writeKubeconfig writes the kubeconfig of a client certificate.
func writeKubeconfig(dir, name, server string) error {
	p := func(f string) string { return filepath.Join(dir, f) }
	return os.WriteFile(p(name+".kubeconfig"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: %s, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: testbed, context: {cluster: testbed, user: %s}}]
current-context: testbed
`, server, p("ca.crt"), name, p(name+".crt"), p(name+".key"), name), 0o600)
}
