package probes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/httpclient"
	"watchdog.io/watchdog/pkg/strutil"
)

type lookup struct {
	conf     config.DNSProbe
	what     string
	resolver *net.Resolver
	dialer   httpclient.Dialer
}

// NewDNS returns the probe that resolves a name. resolver is asked unless a server is given.
func NewDNS(conf config.DNSProbe, resolver *net.Resolver) (Probe, error) {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	what := "dns " + conf.QueryName + " " + conf.QueryType
	if conf.Server != "" {
		if host, port, err := net.SplitHostPort(conf.Server); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("invalid server %q; use host:port", conf.Server)
		}
		what += " at " + conf.Server
	}
	return (&lookup{conf, what, resolver, newDialer(resolver)}).look, nil
}

func (l *lookup) look(ctx context.Context, at time.Time) (Result, error) {
	resolver := l.resolver
	if l.conf.Server != "" {
		var err error
		if resolver, err = l.server(ctx); err != nil {
			return outcome(classify(l.what, resolving, interrupted(ctx, err)))
		}
	}
	began := time.Now()
	answers, err := records(ctx, resolver, l.conf.QueryType, l.conf.QueryName)
	took := time.Since(began)
	if err != nil {
		return outcome(l.failed(ctx, err))
	}
	slices.Sort(answers)
	answers = slices.Compact(answers)
	r := Result{State: OK, Detail: fmt.Sprintf("%s in %s", some(answers), took.Round(time.Millisecond)),
		Samples: lookupSamples(took, len(answers), at)}
	for _, want := range l.conf.Expect {
		if !slices.Contains(answers, sameForm(l.conf.QueryType, want)) {
			r.State = Bad
			r.Detail = fmt.Sprintf("%s: %q is not among the answers: %s", l.what, want, some(answers))
			break
		}
	}
	return r, nil
}

func lookupSamples(took time.Duration, answers int, at time.Time) []*model.Sample {
	return []*model.Sample{newSample(at, "probe_dns_lookup_time_seconds", took.Seconds()),
		newSample(at, "probe_dns_answer_rrs", float64(answers))}
}

// server returns a resolver that asks the given server. Its address is checked as that of
// any other server; those of the system are not (see httpclient.Dialer).
func (l *lookup) server(ctx context.Context) (*net.Resolver, error) {
	connection, err := l.dialer.DialContext(ctx, "udp", l.conf.Server) // sends nothing
	if err != nil {
		return nil, err
	}
	address := connection.RemoteAddr().String()
	connection.Close()
	return &net.Resolver{PreferGo: true, StrictErrors: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return l.dialer.DialContext(ctx, network, address)
		}}, nil
}

// failed says what an error means: who cannot resolve the name cannot reach the service.
func (l *lookup) failed(ctx context.Context, err error) error {
	said, ok := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: interrupted", l.what)
	case ctx.Err() != nil || isTimeout(err):
		return &badError{l.what + ": no answer in time"}
	case ok && said.IsNotFound:
		return &badError{l.what + ": no such name, or no record of this type"}
	case ok:
		return &badError{fmt.Sprintf("%s: %s", l.what, strutil.Cut(strutil.Line(said.Err), 100))}
	}
	return fmt.Errorf("%s: %w", l.what, err)
}

// records asks for the records of one type, and writes each as sameForm does.
func records(ctx context.Context, r *net.Resolver, kind, name string) ([]string, error) {
	var all []string
	switch kind {
	case "A", "AAAA":
		ips, err := r.LookupNetIP(ctx, map[string]string{"A": "ip4", "AAAA": "ip6"}[kind], name)
		for _, ip := range ips {
			all = append(all, ip.Unmap().String())
		}
		return all, err
	case "CNAME":
		to, err := r.LookupCNAME(ctx, name)
		return []string{sameForm(kind, to)}, err
	case "SRV":
		_, records, err := r.LookupSRV(ctx, "", "", name)
		for _, s := range records {
			all = append(all, sameForm(kind, fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target)))
		}
		return all, err
	case "TXT":
		return r.LookupTXT(ctx, name)
	}
	return nil, fmt.Errorf("unsupported query_type %q", kind)
}

// sameForm writes an answer in the one way in which answers are compared: addresses in their
// short form, names in lower case and with the final dot.
func sameForm(kind, text string) string {
	switch kind {
	case "A", "AAAA":
		if ip, err := netip.ParseAddr(text); err == nil {
			return ip.Unmap().String()
		}
	case "CNAME", "SRV":
		return strings.ToLower(strings.TrimSuffix(text, ".")) + "."
	}
	return text
}

// some are the first answers, fit for a message.
func some(answers []string) string {
	const most = 3
	text := strings.Join(answers[:min(len(answers), most)], ", ")
	if len(answers) > most {
		text += fmt.Sprintf(" and %d more", len(answers)-most)
	}
	return strutil.Cut(strutil.Line(text), 200)
}
