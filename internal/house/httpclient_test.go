package house

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// ownClients may make HTTP clients of their own, each with the reason.
var ownClients = map[string]string{
	"pkg/httpclient": "it makes them for everybody",
	"pkg/probes":     "a probe keeps no connection: what it finds out is whether one can be made",
}

var makesClient = regexp.MustCompile(`http\.(Client|Transport)\{|http\.Default(Client|Transport)|http\.(Get|Head|Post|PostForm)\(`)

// ownDial is what connects without pkg/httpclient, and libraryDial what connects by a
// library, with what hands it pkg/httpclient's dialer.
var (
	ownDial     = regexp.MustCompile(`net\.Dial[A-Za-z]*\b|tls\.Dial|websocket\.DefaultDialer|smtp\.Dial`)
	libraryDial = map[string]string{
		"websocket.Dialer{":     "NetDialContext: httpclient.Dialer{",
		"socketmode.New(":       "socketmode.OptionDialer(",
		"mail.NewClient(":       "mail.WithDialContextFunc(",
		"pgconn.ConnectConfig(": ".DialFunc = ",
		".NewClientFromConfig(": ".WithDialContextFunc(httpclient.Dialer{",
	}
)

// TestOnePlaceConnects_S20: a receiver, a probe or a server that is asked may not be a
// cloud's metadata service (SEC-15). client-go's connection to the API server is its own.
func TestOnePlaceConnects_S20(t *testing.T) {
	for _, s := range sources(t, false, "pkg", "cmd") {
		b, err := os.ReadFile(filepath.Join("../..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		if found := ownDial.Find(b); found != nil && s.pkg != "pkg/httpclient" {
			t.Errorf("%s has %s: take pkg/httpclient's Dialer", s.file, found)
		}
		for call, with := range libraryDial {
			if bytes.Contains(b, []byte(call)) && !bytes.Contains(b, []byte(with)) {
				t.Errorf("%s has %s without %s: hand it pkg/httpclient's Dialer", s.file, call, with)
			}
		}
	}
}

// TestOnePlaceMakesHTTPClients_X101: a connection that is kept and never tried is used
// for a quarter of an hour after it died (INV-77). pkg/kube has client-go's, which pings,
// and pkg/alertmanager the one of prometheus/common, over HTTP/1.1.
func TestOnePlaceMakesHTTPClients_X101(t *testing.T) {
	for _, s := range sources(t, false, "pkg", "cmd") {
		b, err := os.ReadFile(filepath.Join("../..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		if found := makesClient.Find(b); found != nil && ownClients[s.pkg] == "" {
			t.Errorf("%s has %s: take a client of pkg/httpclient", s.file, found)
		}
	}
}
