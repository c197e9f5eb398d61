package promql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promstorage "github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"
)

// ErrSource marks errors that say something about the source as a whole (it
// cannot be reached, times out, answers nonsense), not about one expression.
var ErrSource = errors.New("source unusable")

// ErrPartial marks answers that came with a warning: part of the data is missing.
var ErrPartial = errors.New("partial")

// errAnnotated marks an ErrPartial that only PromQL's own warnings led to: the
// expression is doubtful, and the answer, which comes with it, whole.
var errAnnotated = errors.New("warned")

// Warned reports that an answer is whole and PromQL has doubts about the expression.
func Warned(err error) bool { return errors.Is(err, errAnnotated) }

// Point is the value of one series at the moment asked for.
type Point struct {
	Labels labels.Labels
	Value  float64
	// Histogram is set when the series is a histogram; Value is then meaningless,
	// and Native what it holds, if the embedded engine answered.
	Histogram bool
	Native    *histogram.FloatHistogram
}

// QueryFunc evaluates a PromQL expression that gives an instant vector. The
// error wraps ErrPartial when data is missing, and ErrSource when the source
// itself is at fault. Points beside an error are for the few who know that error.
type QueryFunc func(ctx context.Context, expr string, at time.Time) ([]Point, error)

// Lookback is how long after its last sample a series is still seen, as in Prometheus.
const Lookback = 5 * time.Minute

// LocalOptions bound queries of the embedded engine. The zero value is usable.
type LocalOptions struct {
	Logger *slog.Logger
	// Lookback is how long after its last sample a series is still seen. Default 5m.
	Lookback time.Duration
	// Timeout of one query. Default 10s.
	Timeout time.Duration
	// SubqueryInterval is the step of subqueries that give none. Default 15s.
	SubqueryInterval time.Duration
	// MaxSamples one query may load. Default 50,000,000, Prometheus' own.
	MaxSamples int
}

// dropSpans gives the engine's tracing spans, several for each question, to nobody. The
// tracer that OpenTelemetry has by default makes each of them.
var dropSpans = sync.OnceFunc(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })

// NewEngine returns an embedded PromQL engine.
func NewEngine(opts LocalOptions) *promql.Engine {
	dropSpans()
	if opts.Lookback <= 0 {
		opts.Lookback = Lookback
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.SubqueryInterval <= 0 {
		opts.SubqueryInterval = 15 * time.Second
	}
	if opts.MaxSamples <= 0 {
		opts.MaxSamples = 50_000_000
	}
	return promql.NewEngine(promql.EngineOpts{
		Logger:                   opts.Logger,
		MaxSamples:               opts.MaxSamples,
		Timeout:                  opts.Timeout,
		LookbackDelta:            opts.Lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return opts.SubqueryInterval.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   newParseCache(),
	})
}

// NewLocal returns a QueryFunc of the embedded PromQL engine over q.
func NewLocal(q promstorage.Queryable, opts LocalOptions) QueryFunc {
	engine := NewEngine(opts)
	return func(ctx context.Context, expr string, at time.Time) ([]Point, error) {
		return askEngine(ctx, engine, q, expr, at)
	}
}

func askEngine(ctx context.Context, engine *promql.Engine, q promstorage.Queryable, expr string,
	at time.Time) ([]Point, error) {
	if m := limit(ctx); m != nil {
		q = limited{q, m}
	}
	query, err := engine.NewInstantQuery(ctx, q, nil, expr, at)
	return execute(ctx, expr, query, err, func(vector promql.Vector) []Point {
		points := make([]Point, len(vector))
		for i, s := range vector {
			points[i] = Point{Labels: s.Metric, Value: s.F, Histogram: s.H != nil, Native: s.H}
		}
		return points
	})
}

// execute runs a query that was made, or not, and converts its answer of type T. With
// PromQL's own warnings there is an answer and an error.
func execute[T parser.Value, R any](ctx context.Context, expr string, query promql.Query, err error,
	convert func(T) R) (out R, _ error) {
	if err != nil {
		return out, fmt.Errorf("evaluate %s: %w", Brief(expr), err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return out, fmt.Errorf("evaluate %s: %w", Brief(expr), result.Err)
	}
	value, ok := result.Value.(T)
	if !ok {
		return out, WrongType(expr, string(result.Value.Type()))
	}
	out = convert(value)
	if warnings, _ := result.Warnings.AsStrings(expr, 0, 0); len(warnings) > 0 {
		return out, fmt.Errorf("evaluate %s: %w: %w: %s", Brief(expr), ErrPartial, errAnnotated,
			strings.Join(warnings, "; "))
	}
	return out, nil
}

// WrongType is the error of an expression that gives something else than an instant vector.
func WrongType(expr, got string) error {
	return fmt.Errorf("evaluate %s: the result is a %s, an instant vector with one value per target is needed",
		Brief(expr), got)
}

// Brief shortens an expression to one line of a message.
func Brief(expr string) string {
	const limit = 120
	expr = strings.Join(strings.Fields(expr), " ")
	if len(expr) > limit {
		return fmt.Sprintf("%.*s…", limit, expr)
	}
	return expr
}

// NewParser returns the parser of all expressions. It takes Prometheus' experimental
// functions, too: whether they may be used depends on who evaluates (see Experimental).
func NewParser() parser.Parser {
	return parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
}

// Experimental returns why the embedded engine does not take an expression: no function
// that is experimental, as it may change in any release of Prometheus. A server knows
// itself which of them it was started with.
func Experimental(tree parser.Expr) error {
	var err error
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.Call:
			if n.Func.Experimental {
				err = fmt.Errorf("the function %s is experimental; the embedded engine does not take it, ask your "+
					"server (source: prometheus, or prometheus.rule_files)", n.Func.Name)
			}
		case *parser.AggregateExpr:
			if n.Op.IsExperimentalAggregator() {
				err = fmt.Errorf("the aggregation %s is experimental; the embedded engine does not take it, ask "+
					"your server (source: prometheus, or prometheus.rule_files)", n.Op)
			}
		}
		return nil
	})
	return err
}
