package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/secretfile"
)

// postgresQuery reads and does not write. It is one message of the simple protocol, and sets
// nothing that outlives its transaction, so that it also works through PgBouncer.
const postgresQuery = `BEGIN READ ONLY; SET LOCAL statement_timeout = %d;
SELECT version(), current_setting('max_connections'),
(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'); COMMIT`

type postgres struct {
	endpoint
	conf config.PostgresProbe
	base *pgconn.Config
}

// NewPostgres returns the probe that logs in to a PostgreSQL server and asks for its version
// and its connections.
func NewPostgres(conf config.PostgresProbe, resolver *net.Resolver) (Probe, error) {
	at, err := newEndpoint("postgres", conf.Address, conf.TLSClient, resolver)
	if err != nil {
		return nil, err
	}
	// ParseConfig fills in what libpq takes from the environment and from files of the home
	// folder. Nothing of that is to count; only PGSERVICE, which names a file, is an error.
	base, err := pgconn.ParseConfig("host=localhost port=5432 user=watchdog sslmode=disable passfile=''")
	if err != nil {
		return nil, err
	}
	base.Host, base.User, base.Password, base.Database = hostOf(conf.Address), conf.Username, "", conf.Database
	base.SSLNegotiation, base.SSLCertMode, base.ChannelBinding = "", "", "prefer"
	base.Fallbacks, base.ValidateConnect, base.ConnectTimeout = nil, nil, 0
	base.RuntimeParams = map[string]string{"application_name": "watchdog"}
	base.MaxProtocolMessageBodyLen = maxBody
	base.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // see dial
	if conf.TLS == config.PlainText {
		base.RequireAuth = "!password" // what asks for the password as it is does not get it
	}
	return (&postgres{at, conf, base}).look, nil
}

func (p *postgres) look(ctx context.Context, at time.Time) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connection
	own, during := p.base.Copy(), &progress{}
	var err error
	if own.Password, err = secretfile.Read(p.conf.PasswordFile); err != nil {
		return Result{}, fmt.Errorf("%s: password_file: %w", p.what, err)
	}
	if own.TLSConfig, err = p.tls(); err != nil {
		return Result{}, err
	}
	p.connectsBy(own, during)
	row, err := askPostgres(ctx, own)
	if err != nil {
		return outcome(p.refused(ctx, during, err, own.Password))
	}
	return readPostgres(row, own.Password, at)
}

// connectsBy lets the endpoint connect, once: pgconn would ask a server that hangs over a
// second connection to cancel, and wait for it.
func (p *postgres) connectsBy(own *pgconn.Config, during *progress) {
	dialed := false
	own.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if dialed {
			return nil, errors.New("a check connects once")
		}
		dialed = true
		connection, err := p.dial(ctx, during)
		if err == nil && own.TLSConfig != nil {
			during.set(handshaking)
		}
		return connection, err
	}
	if own.TLSConfig != nil {
		own.TLSConfig.VerifyConnection = func(tls.ConnectionState) error {
			during.set(waiting)
			return nil
		}
	}
}

// askPostgres returns the one row of the query.
func askPostgres(ctx context.Context, conf *pgconn.Config) ([][]byte, error) {
	connection, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	limit := defaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	limit = max(limit*9/10, time.Millisecond) // the server says why before the probe gives up
	results, err := connection.Exec(ctx, fmt.Sprintf(postgresQuery, limit.Milliseconds())).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		if len(r.Rows) == 1 && len(r.Rows[0]) == 3 {
			return r.Rows[0], nil
		}
	}
	return nil, errors.New("the answer is not one row of three columns: is it a PostgreSQL server?")
}

func readPostgres(row [][]byte, password string, at time.Time) (Result, error) {
	version := withoutPassword(string(row[0]), password)
	most, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return Result{}, fmt.Errorf("max_connections is %q", withoutPassword(string(row[1]), password))
	}
	used, err := strconv.ParseUint(string(row[2]), 10, 32)
	if err != nil {
		return Result{}, fmt.Errorf("the number of connections is %q", withoutPassword(string(row[2]), password))
	}
	short, _, _ := strings.Cut(version, " (")
	short, _, _ = strings.Cut(short, " on ")
	return Result{
		State:  OK,
		Detail: fmt.Sprintf("%s, %d of %d connections", short, used, most),
		Facts:  map[string]string{"version": short},
		Samples: []*model.Sample{newSample(at, "watchdog_postgres_connections", float64(used)),
			newSample(at, "pg_settings_max_connections", float64(most))},
	}, nil
}

// refused says what an error means: what PostgreSQL says by its code, all else as endpoint does.
func (p *postgres) refused(ctx context.Context, during *progress, err error, password string) error {
	said, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok && strings.Contains(err.Error(), "server refused TLS connection"):
		return fmt.Errorf("%s: the server does not speak TLS: set tls: none", p.what)
	case !ok && strings.Contains(err.Error(), "server requested password authentication"):
		return fmt.Errorf("%s: the server wants the password in plain text: it is not sent without TLS", p.what)
	case !ok:
		// Without the address and the steps that pgconn puts before it.
		if wrapped, is := errors.AsType[*tls.CertificateVerificationError](err); is {
			err = wrapped
		} else if wrapped, is := errors.AsType[*pgconn.ConnectError](err); is {
			err = wrapped.Unwrap()
		}
		return p.failed(ctx, during, err)
	}
	text := fmt.Sprintf("%s: %s (SQLSTATE %s)", p.what, withoutPassword(said.Message, password),
		withoutPassword(said.Code, password))
	switch class := said.Code[:min(2, len(said.Code))]; {
	case class == "28":
		return errors.New(text + ": check the probe's username and password_file, and the server's pg_hba.conf")
	case class == "3D":
		return errors.New(text + ": check the probe's database")
	case class == "53" || class == "57" || class == "58" || class == "XX":
		return &badError{text} // no resources, operator intervention, system error, internal error
	}
	return errors.New(text)
}
