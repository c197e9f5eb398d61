package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"watchdog.io/watchdog/internal/recorders"
)

// Files by which the servers tell where they are; each is written when its server is up.
const (
	kubeconfigFile = "kubeconfig"
	portFile       = "port"
)

// ServeAPI serves the API server on loopback until ctx ends, and writes a kubeconfig into dir.
func ServeAPI(ctx context.Context, a *APIServer, dir string) error {
	authority, err := recorders.NewAuthority()
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	cert, _, _, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour))
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	server := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}},
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 100}} // as the real one
	config := api.NewConfig()
	config.Clusters["fleet"] = &api.Cluster{Server: "https://" + l.Addr().String(),
		CertificateAuthorityData: authority.PEM()}
	config.AuthInfos["fleet"] = &api.AuthInfo{Token: "fleet"}
	config.Contexts["fleet"] = &api.Context{Cluster: "fleet", AuthInfo: "fleet"}
	config.CurrentContext = "fleet"
	text, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	if err := publish(filepath.Join(dir, kubeconfigFile), text); err != nil {
		return err
	}
	return serve(ctx, server, func() error { return server.ServeTLS(l, "", "") })
}

// ServeTargets serves the targets on loopback until ctx ends, and writes their port into dir.
func ServeTargets(ctx context.Context, t *Targets, dir string) error {
	l, port, err := listenLoopback()
	if err != nil {
		return err
	}
	if err := publish(filepath.Join(dir, portFile), []byte(strconv.Itoa(port))); err != nil {
		return err
	}
	server := &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second, ConnState: t.connection}
	return serve(ctx, server, func() error { return server.Serve(l) })
}

func serve(ctx context.Context, s *http.Server, run func() error) error {
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// publish writes a file that is whole as soon as it is there.
func publish(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
