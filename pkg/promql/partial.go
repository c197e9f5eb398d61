package promql

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/api"
)

// complete refuses answers that say of themselves that a part of the data is missing, as
// VictoriaMetrics does with "isPartial": true. Thanos and Mimir say so in warnings, which
// the client hands on; it does not hand on this.
type complete struct{ api.Client }

func (c complete) Do(ctx context.Context, r *http.Request) (*http.Response, []byte, error) {
	resp, body, err := c.Client.Do(ctx, r)
	if err != nil || !bytes.Contains(body, []byte("isPartial")) {
		return resp, body, err
	}
	var answer struct {
		IsPartial any `json:"isPartial"`
	}
	// What is no JSON is refused by whoever reads the answer.
	if err := json.Unmarshal(body, &answer); err == nil && answer.IsPartial != nil && answer.IsPartial != false {
		return resp, body, fmt.Errorf("%w: the server says that a part of the data is missing (isPartial)", ErrPartial)
	}
	return resp, body, nil
}
