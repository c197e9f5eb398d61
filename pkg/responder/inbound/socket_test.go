package inbound

import (
	"errors"
	"testing"

	"watchdog.io/watchdog/pkg/httpclient"
)

func TestTheSocketDoesNotConnectToAMetadataService_S20(t *testing.T) {
	_, _, err := socketDialer().DialContext(t.Context(), "ws://169.254.169.254/", nil)
	if _, ok := errors.AsType[*httpclient.ForbiddenError](err); !ok {
		t.Errorf("got %v", err)
	}
}
