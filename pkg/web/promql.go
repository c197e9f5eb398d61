package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// PromQL serves the part of Prometheus' HTTP API that Grafana needs of a data
// source, over watchdog's own samples. Parameters, answers and errors are
// Prometheus' own (prometheus.io/docs/prometheus/latest/querying/api).
type PromQL struct {
	Engine    *promql.Engine
	Queryable storage.Queryable
	// Parser reads the matchers of match[].
	Parser parser.Parser
	Now    func() time.Time
	// Version is that of buildinfo.
	Version string
}

const (
	// maxPoints of one series, as in Prometheus: more than a screen has pixels.
	maxPoints = 11_000
	// maxSeries that one answer about series and labels looks at.
	maxSeries = 100_000
	// statusClientClosed is what Prometheus answers when the client has gone.
	statusClientClosed = 499
	// maxForm bounds the body of a POST: a query, not data.
	maxForm = 1 << 20
)

// Errors of the API by their errorType.
const (
	badData  = "bad_data"
	execFail = "execution"
	canceled = "canceled"
	timedOut = "timeout"
	internal = "internal"
)

// apiError is an error with its type.
type apiError struct {
	kind string
	err  error
}

func (e apiError) Error() string { return e.err.Error() }

func (e apiError) status() int {
	return map[string]int{badData: http.StatusBadRequest, execFail: http.StatusUnprocessableEntity,
		canceled: statusClientClosed, timedOut: http.StatusServiceUnavailable}[e.kind]
}

func invalid(param string, err error) error {
	return apiError{badData, fmt.Errorf("invalid parameter %q: %w", param, err)}
}

// failed names what went wrong in the engine.
func failed(err error) error {
	var gone promql.ErrQueryCanceled
	var late promql.ErrQueryTimeout
	var store promql.ErrStorage
	switch {
	case errors.As(err, &gone), errors.Is(err, context.Canceled):
		return apiError{canceled, err}
	case errors.As(err, &late):
		return apiError{timedOut, err}
	case errors.As(err, &store):
		return apiError{internal, err}
	}
	return apiError{execFail, err}
}

// register adds the routes. GET and POST mean the same, as clients with long
// queries post them.
func (a *PromQL) register(mux *http.ServeMux) {
	asked := make(seats, maxAsked)
	for path, answer := range map[string]func(*http.Request) (any, annotations.Annotations, error){
		"/api/v1/query": a.query, "/api/v1/query_range": a.queryRange, "/api/v1/series": a.series,
		"/api/v1/labels":              a.labelNames,
		"/api/v1/label/{name}/values": a.labelValues, "/api/v1/metadata": a.metadata,
		"/api/v1/status/buildinfo": a.buildInfo, "/api/v1/format_query": a.format,
	} {
		h := func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			data, notes, err := a.inTurn(r, asked, answer)
			respond(w, r.FormValue("query"), data, notes, err)
		}
		mux.HandleFunc("GET "+path, h)
		mux.HandleFunc("POST "+path, h)
	}
}

// inTurn answers a question that may be asked, when there is room for it.
func (a *PromQL) inTurn(r *http.Request, asked seats, answer func(*http.Request) (any, annotations.Annotations,
	error)) (any, annotations.Annotations, error) {
	if err := admit(r.FormValue("query")); err != nil {
		return nil, nil, err
	}
	back, err := asked.take(r.Context())
	if err != nil {
		return nil, nil, err
	}
	defer back()
	return answer(r)
}

func respond(w http.ResponseWriter, query string, data any, notes annotations.Annotations, err error) {
	var e apiError
	switch {
	case errors.As(err, &e):
		status := e.status()
		if status == 0 {
			status = http.StatusInternalServerError
		}
		write(w, status, map[string]any{"status": "error", "errorType": e.kind, "error": e.Error()})
		return
	case err != nil:
		write(w, http.StatusInternalServerError, map[string]any{"status": "error", "errorType": internal,
			"error": err.Error()})
		return
	}
	answer := map[string]any{"status": "success", "data": data}
	warnings, infos := notes.AsStrings(query, 10, 10)
	if len(warnings) > 0 {
		answer["warnings"] = warnings
	}
	if len(infos) > 0 {
		answer["infos"] = infos
	}
	write(w, http.StatusOK, answer)
}

// result is the data of a query.
type result struct {
	Type  parser.ValueType `json:"resultType"`
	Value parser.Value     `json:"result"`
}

func (a *PromQL) query(r *http.Request) (any, annotations.Annotations, error) {
	at, err := a.timeOf(r, "time", a.Now())
	if err != nil {
		return nil, nil, err
	}
	return a.run(r, 0, func(ctx context.Context, o promql.QueryOpts) (promql.Query, error) {
		return a.Engine.NewInstantQuery(ctx, a.Queryable, o, r.FormValue("query"), at)
	})
}

func (a *PromQL) queryRange(r *http.Request) (any, annotations.Annotations, error) {
	start, err := a.timeOf(r, "start", time.Time{})
	if err != nil {
		return nil, nil, err
	}
	end, err := a.timeOf(r, "end", time.Time{})
	if err != nil {
		return nil, nil, err
	}
	step, err := seconds(r.FormValue("step"))
	switch {
	case err != nil:
		return nil, nil, invalid("step", err)
	case r.FormValue("start") == "":
		return nil, nil, invalid("start", errors.New(`cannot parse "" to a valid timestamp`))
	case r.FormValue("end") == "":
		return nil, nil, invalid("end", errors.New(`cannot parse "" to a valid timestamp`))
	case end.Before(start):
		return nil, nil, invalid("end", errors.New("end timestamp must not be before start time"))
	case step <= 0:
		return nil, nil, invalid("step", errors.New("zero or negative query resolution step widths are not "+
			"accepted. Try a positive integer"))
	case end.Sub(start)/step > maxPoints:
		return nil, nil, apiError{badData,
			fmt.Errorf("exceeded maximum resolution of %s points per timeseries. Try decreasing the query "+
				"resolution (?step=XX)", "11,000")}
	}
	return a.run(r, end.Sub(start), func(ctx context.Context, o promql.QueryOpts) (promql.Query, error) {
		return a.Engine.NewRangeQuery(ctx, a.Queryable, o, r.FormValue("query"), start, end, step)
	})
}

// run makes and executes a query over a span under the request's own limits.
func (a *PromQL) run(r *http.Request, span time.Duration, make func(context.Context, promql.QueryOpts) (promql.Query,
	error)) (any, annotations.Annotations, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, nil, err
	}
	ctx := r.Context()
	if text := r.FormValue("timeout"); text != "" {
		d, err := seconds(text)
		if err != nil {
			return nil, nil, invalid("timeout", err)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	lookback := time.Duration(0)
	if text := r.FormValue("lookback_delta"); text != "" {
		if lookback, err = seconds(text); err != nil {
			return nil, nil, apiError{badData, fmt.Errorf("error parsing lookback delta duration: %w", err)}
		}
	}
	q, err := make(ctx, promql.NewPrometheusQueryOpts(false, lookback))
	if err != nil {
		return nil, nil, invalid("query", err)
	}
	defer q.Close()
	if s, ok := q.Statement().(*parser.EvalStmt); ok {
		if err := affordable(s.Expr, span); err != nil {
			return nil, nil, err
		}
	}
	got := q.Exec(ctx)
	if got.Err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil {
			return nil, nil, apiError{timedOut, got.Err}
		}
		return nil, nil, failed(got.Err)
	}
	value, cut := truncated(got.Value, limit)
	if cut {
		got.Warnings.Add(errors.New("results truncated due to limit"))
	}
	// The values live until the query is closed: they are written down before.
	b, err := encode(result{value.Type(), value})
	return b, got.Warnings, err
}

func truncated(v parser.Value, limit int) (parser.Value, bool) {
	switch x := v.(type) {
	case promql.Vector:
		if limit > 0 && len(x) > limit {
			return x[:limit], true
		}
	case promql.Matrix:
		if limit > 0 && len(x) > limit {
			return x[:limit], true
		}
	}
	return v, false
}

// sets returns the label sets of the series that a request's match[] selects;
// without one, of all series if that is allowed.
func (a *PromQL) sets(r *http.Request, all bool) ([]labels.Labels, annotations.Annotations, error) {
	if err := r.ParseForm(); err != nil {
		return nil, nil, apiError{badData, fmt.Errorf("error parsing form values: %w", err)}
	}
	texts := r.Form["match[]"]
	if len(texts) == 0 && !all {
		return nil, nil, apiError{badData, errors.New("no match[] parameter provided")}
	}
	matchers, err := a.Parser.ParseMetricSelectors(texts)
	if err != nil {
		return nil, nil, invalid("match[]", err)
	}
	for _, m := range matchers {
		if !slices.ContainsFunc(m, func(m *labels.Matcher) bool { return !m.Matches("") }) {
			return nil, nil, apiError{badData, errors.New("match[] must contain at least one non-empty matcher")}
		}
	}
	if len(texts) == 0 {
		matchers = [][]*labels.Matcher{{labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, "")}}
	}
	start, err := a.timeOf(r, "start", time.Unix(0, 0))
	if err != nil {
		return nil, nil, err
	}
	end, err := a.timeOf(r, "end", a.Now().Add(time.Hour))
	if err != nil {
		return nil, nil, err
	}
	if end.Before(start) {
		return nil, nil, invalid("end", errors.New("end timestamp must not be before start timestamp"))
	}
	q, err := a.Queryable.Querier(start.UnixMilli(), end.UnixMilli())
	if err != nil {
		return nil, nil, apiError{execFail, err}
	}
	defer q.Close()
	seen := map[uint64]bool{}
	var sets []labels.Labels
	for _, m := range matchers {
		for set := q.Select(r.Context(), true, &storage.SelectHints{Start: start.UnixMilli(), End: end.UnixMilli(),
			Func: "series"}, m...); set.Next(); {
			l := set.At().Labels()
			if h := l.Hash(); !seen[h] {
				seen[h] = true
				sets = append(sets, l)
			}
			if len(sets) >= maxSeries {
				return sets, annotations.New().Add(errors.New("results truncated due to limit")), nil
			}
		}
	}
	return sets, nil, nil
}

func (a *PromQL) series(r *http.Request) (any, annotations.Annotations, error) {
	sets, notes, err := a.sets(r, false)
	if err != nil {
		return nil, nil, err
	}
	return cut(r, sets, notes)
}

func (a *PromQL) labelNames(r *http.Request) (any, annotations.Annotations, error) {
	sets, notes, err := a.sets(r, true)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]bool{}
	for _, l := range sets {
		l.Range(func(l labels.Label) { names[l.Name] = true })
	}
	return cut(r, keys(names), notes)
}

func (a *PromQL) labelValues(r *http.Request) (any, annotations.Annotations, error) {
	name := r.PathValue("name")
	if !model.UTF8Validation.IsValidLabelName(name) {
		return nil, nil, apiError{badData, fmt.Errorf("invalid label name: %q", name)}
	}
	sets, notes, err := a.sets(r, true)
	if err != nil {
		return nil, nil, err
	}
	values := map[string]bool{}
	for _, l := range sets {
		if v := l.Get(name); v != "" {
			values[v] = true
		}
	}
	return cut(r, keys(values), notes)
}

// cut keeps a list to the request's limit.
func cut[T any](r *http.Request, list []T, notes annotations.Annotations) (any, annotations.Annotations, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, nil, err
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
		notes = annotations.New().Add(errors.New("results truncated due to limit"))
	}
	if list == nil {
		list = []T{}
	}
	return list, notes, nil
}

func keys(set map[string]bool) []string {
	var all []string
	for k := range set {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// metadata: probes have no metadata of their own beyond /metrics.
func (*PromQL) metadata(*http.Request) (any, annotations.Annotations, error) {
	return map[string]any{}, nil, nil
}

// buildInfo tells Grafana which API it talks to.
func (a *PromQL) buildInfo(*http.Request) (any, annotations.Annotations, error) {
	return map[string]string{"version": "2.53.0", "revision": "", "branch": "", "buildUser": "", "buildDate": "",
		"goVersion": "", "application": "watchdog " + a.Version}, nil, nil
}

func (a *PromQL) format(r *http.Request) (any, annotations.Annotations, error) {
	tree, err := a.Parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return nil, nil, invalid("query", err)
	}
	return tree.Pretty(0), nil, nil
}

func (a *PromQL) timeOf(r *http.Request, param string, otherwise time.Time) (time.Time, error) {
	text := r.FormValue(param)
	if text == "" {
		return otherwise, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) < 1e12 {
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(part*1000)*1e6)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, invalid(param, fmt.Errorf("cannot parse %q to a valid timestamp", text))
}

// seconds reads a duration: a number of them, or 5m.
func seconds(text string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if d := f * float64(time.Second); math.Abs(d) < math.MaxInt64 {
			return time.Duration(d), nil
		}
		return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", text)
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
}

func limitOf(r *http.Request) (int, error) {
	text := r.FormValue("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("limit", errors.New("limit must be a non-negative number"))
	}
	return n, nil
}

func encode(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	return b, err
}
