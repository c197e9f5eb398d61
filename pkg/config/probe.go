package config

import (
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProbeOptions are the options of one kind of probe. Each kind is a field of Probe;
// embedding Look makes a struct one.
type ProbeOptions interface {
	// look returns what all kinds share.
	look() *Look
}

func (l *Look) look() *Look { return l }

func (c *HTTPClient) client() *HTTPClient { return c }

// A kind whose options have defaults or rules of their own has these, too.
type (
	// probeDefaults come before those that all kinds share.
	probeDefaults interface{ setDefaults() }
	probeChecks   interface{ check(v *validator, a at) }
)

// ProbeKinds returns the kinds of probes that a file may have, in their order in Probe.
// pkg/probes has a row for each (probes.Kinds).
func ProbeKinds() []string {
	var kinds []string
	for f := range reflect.TypeFor[Probe]().Fields() {
		kinds = append(kinds, probeKind(f))
	}
	return kinds
}

func probeKind(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// set returns the kinds that are set, and the options of the first.
func (p *Probe) set() (kinds []string, first ProbeOptions) {
	v := reflect.ValueOf(p).Elem()
	for k := p.field(0); k >= 0; k = p.field(k + 1) {
		if kinds = append(kinds, probeKind(v.Type().Field(k))); first == nil {
			first, _ = v.Field(k).Interface().(ProbeOptions) // TestEveryProbeKindHasItsOptions
		}
	}
	return kinds, first
}

// field is the index of the first kind that is set, from one on; -1: none is.
func (p *Probe) field(from int) int {
	v := reflect.ValueOf(p).Elem()
	for k := from; k < v.NumField(); k++ {
		if !v.Field(k).IsNil() {
			return k
		}
	}
	return -1
}

// Options returns the options of the kind that is set; nil if none is.
func (p *Probe) Options() ProbeOptions {
	k := p.field(0)
	if k < 0 {
		return nil
	}
	o, _ := reflect.ValueOf(p).Elem().Field(k).Interface().(ProbeOptions)
	return o
}

// Kind returns health, sla, agents, http or another of ProbeKinds; empty if no kind is set.
func (p *Probe) Kind() string {
	k := p.field(0)
	if k < 0 {
		return ""
	}
	return probeKind(reflect.TypeFor[Probe]().Field(k))
}

// Look returns what the probe shares with all others; nil if no kind is set.
func (p *Probe) Look() *Look {
	if o := p.Options(); o != nil {
		return o.look()
	}
	return nil
}

// Client returns the HTTP options of the probe; nil for a probe without HTTP.
func (p *Probe) Client() *HTTPClient {
	if o, ok := p.Options().(interface{ client() *HTTPClient }); ok {
		return o.client()
	}
	return nil
}

// SetDefaults fills what is open, as Load does.
func (p *Probe) SetDefaults() {
	options := p.Options()
	if options == nil {
		return
	}
	if o, ok := options.(probeDefaults); ok {
		o.setDefaults()
	}
	look := options.look()
	orDuration(&look.Interval, 15*time.Second)
	orDuration(&look.Timeout, min(5*time.Second, time.Duration(look.Interval)))
	orInt(&look.Failures, 3)
	orInt(&look.Window, max(5, look.Failures))
	orInt(&look.Successes, 3)
	if look.Name == "" {
		look.Name = p.Kind()
	}
}

func (v *validator) probe(a at, p *Probe, names map[string]bool) {
	kinds, options := p.set()
	if len(kinds) != 1 {
		v.fail(a, "exactly one of %s must be set; found %d", listed(ProbeKinds()), len(kinds))
		return
	}
	a = a.key(kinds[0])
	look := options.look()
	if names[look.Name] {
		v.fail(a.key("name"), "duplicate probe %q; set a unique name", look.Name)
	}
	names[look.Name] = true
	if !nameShape.MatchString(look.Name) || look.Name == "kubernetes" {
		v.fail(a.key("name"), "invalid probe name %q: use lowercase letters, digits and \"-\"; \"kubernetes\" is "+
			"reserved", look.Name)
	}
	v.span(a.key("interval"), time.Duration(look.Interval), 100*time.Millisecond, time.Hour)
	if look.Timeout > look.Interval {
		v.fail(a.key("timeout"), "timeout %s is longer than interval %s", look.Timeout, look.Interval)
	}
	if look.Failures < 1 || look.Window < look.Failures || look.Successes < 1 || look.Window > 100 {
		v.fail(a, "invalid failures %d, window %d or successes %d; use 1 ≤ failures ≤ window ≤ 100 and successes ≥ 1",
			look.Failures, look.Window, look.Successes)
	}
	if c := p.Client(); c != nil {
		v.url(a.key("url"), c.URL, "use bearer_token_file", "headers")
	}
	if o, ok := options.(probeChecks); ok {
		o.check(v, a)
	}
}

func (p *HealthProbe) setDefaults() { orDuration(&p.MaxSkew, time.Minute) }

func (p *SLAProbe) setDefaults() { orDuration(&p.Interval, 30*time.Second) }

// methods are those a probe may use.
var methods = []string{"GET", "HEAD", "OPTIONS", "POST"}

func (p *HTTPProbe) setDefaults() {
	if p.Method == "" {
		p.Method = "GET"
	}
}

func (p *HTTPProbe) check(v *validator, a at) {
	if !slices.Contains(methods, p.Method) {
		v.fail(a.key("method"), "unsupported method %q; expected one of: %s", p.Method, strings.Join(methods, ", "))
	}
	for i, s := range p.Statuses {
		if s < 100 || s > 599 {
			v.fail(a.key("statuses").key(i), "invalid HTTP status %d; use 100 to 599", s)
		}
	}
	if len(p.JSON) > 0 && p.Method == "HEAD" {
		v.fail(a.key("json"), "a response to HEAD has no body; use GET, or remove json")
	}
	for i := range p.JSON {
		p.JSON[i].check(v, a.key("json").key(i))
	}
}

func (p *TCPProbe) check(v *validator, a at) {
	host, port, err := net.SplitHostPort(p.Address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		v.fail(a.key("address"), "invalid address %q; use host:port, for example postgres.shop:5432", p.Address)
	}
}

// listed joins words as a sentence does.
func listed(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
