package kube

import (
	"context"
	"fmt"

	authentication "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WhoAmI returns the name by which the API server knows the caller, as kubectl
// auth whoami does: it is not for the caller to choose.
func (c *Client) WhoAmI(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := c.identity.SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("identify the caller: %w", err)
	}
	return r.Status.UserInfo.Username, nil
}
