package probes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"

	"watchdog.io/watchdog/pkg/httpclient"
)

// badError is a failure that speaks against the service itself. Every other
// error only says that nothing is known.
type badError struct{ reason string }

func (e *badError) Error() string { return e.reason }

// outcome turns a failed check into its result.
func outcome(err error) (Result, error) {
	if bad, ok := errors.AsType[*badError](err); ok {
		return Result{State: Bad, Detail: oneLine(bad.reason)}, nil
	}
	return Result{}, err
}

// phase is how far a check had come; it decides what a timeout means.
type phase int32

const (
	connecting phase = iota
	resolving
	handshaking
	waiting
	reading
)

func (p phase) String() string {
	switch p {
	case resolving:
		return "resolving the name"
	case handshaking:
		return "in the TLS handshake"
	case waiting:
		return "waiting for the answer"
	case reading:
		return "reading the body"
	default:
		return "connecting"
	}
}

// classify says what an error of the transport means, in the terms of the
// table in the package documentation. What is not known to speak against the
// service stays unknown.
func classify(what string, during phase, err error) error {
	// The address is in what already, without credentials and query.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	var (
		forbidden   *httpclient.ForbiddenError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &forbidden):
		return fmt.Errorf("%s: %w", what, forbidden)
	case errors.As(err, &dns):
		return fmt.Errorf("%s: DNS lookup failed: %w", what, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: interrupted while %s: %w", what, during, err)
	case expired(err):
		return &badError{fmt.Sprintf("%s: certificate has expired or is not yet valid: users cannot connect: %s", what,
			certificateText(err))}
	case errors.As(err, &certificate):
		return fmt.Errorf("%s: invalid certificate: %w: check ca_file and the certificate", what, err)
	case errors.As(err, &record):
		return fmt.Errorf("%s: the server does not speak TLS: use http://", what)
	case isTimeout(err) && during == resolving:
		return fmt.Errorf("%s: DNS lookup timed out: %w", what, err)
	case isTimeout(err):
		return &badError{fmt.Sprintf("%s: timeout, %s", what, during)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &badError{what + ": connection refused"}
	case during != handshaking && isClosed(err):
		return &badError{fmt.Sprintf("%s: connection closed by the server, %s", what, during)}
	}
	return fmt.Errorf("%s: %s: %w", what, during, err)
}

// expired reports whether the certificate was refused for its dates alone: then users are
// refused as well, whatever the service behind it does (X11). Any other fault of a
// certificate may be one of the probe's own trust.
func expired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

func certificateText(err error) string {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Cert == nil {
		return err.Error()
	}
	return fmt.Sprintf("valid from %s to %s", invalid.Cert.NotBefore.UTC().Format(time.RFC3339),
		invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func isClosed(err error) bool {
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, closed) {
			return true
		}
	}
	return false
}
