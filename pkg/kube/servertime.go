package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServerTime returns the API server's time, in whole seconds and as old as the
// answer was under way.
//
// It asks for the leader lease, which watchdog may read anyway; any answer has a date.
func (c *Client) ServerTime(ctx context.Context, namespace string) (time.Time, error) {
	var date string
	ctx = context.WithValue(ctx, dateKey{}, &date)
	if _, err := c.leases.Leases(namespace).Get(ctx, leaseName, metav1.GetOptions{}); err != nil && date == "" {
		return time.Time{}, fmt.Errorf("read the API server's time: %w", err)
	}
	at, err := http.ParseTime(date)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the API server's time: the response has no Date header: %w", err)
	}
	return at, nil
}

// dateKey is where a request's context keeps room for the Date of its answer.
type dateKey struct{}

// noteDate writes it there.
func noteDate(ctx context.Context, r *http.Response) {
	if date, ok := ctx.Value(dateKey{}).(*string); ok && r != nil {
		*date = r.Header.Get("Date")
	}
}
