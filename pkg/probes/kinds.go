package probes

import (
	"fmt"
	"net"
	"slices"

	"watchdog.io/watchdog/pkg/config"
)

// Who speaks through a probe (INV-11).
const (
	SourceProbe = "probe" // watchdog's own eyes
	SourceApp   = "app"   // the application, of itself
)

// KindKubernetes is the kind of the check of the workload that every target has. It is in
// no file, and so no row of Kinds.
const KindKubernetes = "kubernetes"

// noServer is why the simulator does not play what another server than the application answers.
const noServer = "the simulated world has the application only"

// Kind is one row of Kinds.
type Kind struct {
	// Name is the key in a file (a field of config.Probe) and the label kind of metrics.
	Name string
	// Help says in one line how it checks.
	Help string
	// Source is who speaks through the samples that it writes: probe or app.
	Source string
	// Writes are the metrics that it alone writes, each by its beginning.
	Writes []string
	// NotSimulated says why the simulator does not play it; empty: it does (internal/sim/answers.go).
	NotSimulated string

	make func(config.ProbeOptions, *net.Resolver) (Probe, error)
}

// Kinds returns every way of looking over the network: the one table that the
// configuration, `watchdog check`, the simulator and the documents follow.
// internal/house walks it and says what is missing where.
func Kinds() []Kind { return slices.Clone(kinds) }

var kinds = []Kind{
	{Name: "health", Help: "reads the health document: status, checks, version", Source: SourceProbe,
		Writes: []string{"watchdog_health_", "watchdog_dependency_"}, make: makes(NewHealth)},
	{Name: "sla", Help: "reads the service level that the application reports", Source: SourceApp,
		Writes: []string{"watchdog_sla_"}, make: makes(NewSLA)},
	{Name: "agents", Help: "reads the number of active agents", Source: SourceApp,
		Writes: []string{"watchdog_agents_"}, make: makes(NewAgents)},
	{Name: "http", Help: "sends an HTTP request; checks status and duration", Source: SourceProbe,
		make: makes(NewHTTP)},
	{Name: "tcp", Help: "opens a connection and closes it", Source: SourceProbe, make: makes(NewTCP)},
	{Name: "redis", Help: "sends PING and INFO to a Redis server", Source: SourceProbe, Writes: []string{"redis_"},
		NotSimulated: noServer, make: makes(NewRedis)},
	{Name: "postgres", Help: "logs in to a PostgreSQL server; reads its version and connections", Source: SourceProbe,
		Writes: []string{"pg_settings_", "watchdog_postgres_"}, NotSimulated: noServer, make: makes(NewPostgres)},
	{Name: "tls", Help: "checks the certificates that a server sends, and when they expire", Source: SourceProbe,
		Writes: []string{"probe_ssl_", "watchdog_tls_"}, NotSimulated: noServer, make: makes(NewTLS)},
	{Name: "dns", Help: "resolves a name and compares the answers", Source: SourceProbe,
		Writes: []string{"probe_dns_"}, NotSimulated: noServer, make: makes(NewDNS)},
}

// KindOf returns the row of a kind; false: there is none.
func KindOf(name string) (Kind, bool) {
	if k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name }); k >= 0 {
		return kinds[k], true
	}
	return Kind{}, false
}

// makes is a constructor for the options of one kind, for those of any.
func makes[O any, P interface {
	*O
	config.ProbeOptions
}](build func(O, *net.Resolver) (Probe, error)) func(config.ProbeOptions, *net.Resolver) (Probe, error) {
	return func(options config.ProbeOptions, resolver *net.Resolver) (Probe, error) {
		own, ok := options.(P)
		if !ok {
			return nil, fmt.Errorf("its options are of type %T; the row of the kind in probes.Kinds wants %T", options,
				own)
		}
		return build(*own, resolver)
	}
}
