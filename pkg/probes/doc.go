// Package probes checks targets: a moment in, samples out.
//
// It owns the ways of looking at a target (one file per kind: health, sla,
// agents, http, tcp, redis, postgres,
// tls, dns, kubernetes), when each check happens (Scheduler) and how
// single checks are smoothed (Damper). It leaves judging to rules, which read
// the samples, and the reading of the cluster to whoever hands in a
// WorkloadFunc.
//
// Its one rule: "could not check" is never "ok" and never "bad".
// A check that could not be made or not be understood is Unknown.
//
// # What a check means
//
//	what happened                                             health  sla, agents  http         tcp
//	connected / answered as asked                             OK      OK           OK           OK
//	connection refused                                        Bad     Bad          Bad          Bad
//	no answer in time (connect, handshake, headers or body)   Bad     Bad          Bad          Bad
//	connection reset or closed before the answer ended        Bad     Bad          Bad          -
//	HTTP 5xx, whatever the body says                          Bad     Bad          by statuses  -
//	HTTP 4xx                                                  Unknown Unknown      by statuses  -
//	HTTP 3xx (never followed)                                 Unknown Unknown      Unknown or OK by statuses
//	2xx with status other than "healthy"                      Bad     -            -            -
//	2xx slower than max_duration                              -       -            Bad          -
//	2xx with another value than json expects                  -       -            Bad          -
//	2xx with json, and no JSON or nothing at the path         -       -            Unknown      -
//	HTML, invalid JSON, missing field, absurd number          Unknown Unknown      -            -
//	body larger than 1 MiB, nested deeper than 32             Unknown Unknown      -            -
//	timestamp too far from now                                Unknown Unknown      -            -
//	new names for which the store has no room (Options.Fits)  Unknown -            -            -
//	name does not resolve, or not in time                     Unknown Unknown      Unknown      Unknown
//	certificate expired, or not yet valid                     Bad     Bad          Bad          -
//	certificate wrong, not TLS, closed in the TLS handshake   Unknown Unknown      Unknown      -
//	address that may not be asked (see below)                 Unknown Unknown      Unknown      Unknown
//	token or CA file unreadable                               Unknown Unknown      Unknown      -
//	no route, no local port, no file descriptor, any other    Unknown Unknown      Unknown      Unknown
//
// An expired certificate is Bad: users cannot come in. Any other wrong certificate
// is Unknown, as it may be the probe that does not trust it. The http kind calls any status that is not in its list
// Bad, except a
// redirect. It stops reading a body at 1 MiB without complaint.
//
// Servers that speak another protocol are judged likewise:
//
//	what happened                                             redis    postgres tls      dns
//	answered as asked                                         OK       OK       OK       OK
//	connection refused, reset, closed before the answer ended Bad      Bad      Bad      Bad
//	no answer in time (connect, handshake, answer)            Bad      Bad      Bad      Bad
//	the server says that it cannot serve (loading, too many)  Bad      Bad      -        Bad
//	wrong password, a right is missing                        Unknown  Unknown  -        -
//	PING answered, but INFO is not allowed                    OK       -        -        -
//	wants the password as plain text without TLS              -        Unknown  -        -
//	no such database                                          -        Unknown  -        -
//	not its protocol, an answer above 1 MiB, 2 MiB in all     Unknown  Unknown  -        Bad
//	certificate expired, or not yet valid                     Bad      Bad      Bad      -
//	certificate of another name                               Unknown  Unknown  Bad      -
//	certificate wrong, not TLS, closed in the TLS handshake   Unknown  Unknown  Unknown  -
//	name does not resolve, address that may not be asked      Unknown  Unknown  Unknown  see below
//	password or CA file unreadable                            Unknown  Unknown  Unknown  -
//
// For dns, no such name, no record of the type, no answer in time and an answer without what is
// expected are Bad: who cannot resolve the name cannot reach the service. A name server whose
// address may not be asked, or whose own name does not resolve, is Unknown.
//
// pkg/httpclient refuses link-local, metadata, unspecified, multicast and
// broadcast addresses after resolution, in whatever notation they come;
// loopback and private ones are allowed. Proxies from the environment are ignored: a proxy
// would resolve the name where this check cannot see it. Each look opens a connection of its
// own, as a new user does, so that it may reach any endpoint of a Service; with
// reuse_connections it keeps the last one while the server does.
package probes
