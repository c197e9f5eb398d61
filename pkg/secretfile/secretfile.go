// Package secretfile reads credentials from files.
//
// It owns how such a file is read and what is said if it cannot be. Its one rule: a
// credential is read each time it is used, so that it can be rotated, and no error
// holds it.
package secretfile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxSize is far above any token, and enough for a bundle of certificates.
const maxSize = 1 << 20

// Read returns the secret in a file, without blanks around it. A file that is missing
// (fs.ErrNotExist), empty or larger than 1 MiB is an error.
func Read(file string) (string, error) {
	b, err := content(file)
	if err != nil {
		return "", fmt.Errorf("secret file %w", err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("secret file %s is empty", file)
	}
	return s, nil
}

// Authorities returns the certificate authorities in a PEM file.
func Authorities(file string) (*x509.CertPool, error) {
	b, err := content(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate in PEM form", file)
	}
	return pool, nil
}

func content(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; is the Secret there, with this key?", file, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSize {
		return nil, fmt.Errorf("%s: larger than %d MiB", file, maxSize>>20)
	}
	return b, nil
}
