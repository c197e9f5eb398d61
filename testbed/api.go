//go:build linux

package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// serveAPI serves the part of the kubelet's own HTTPS API behind `kubectl logs`.
func (k *kubelet) serveAPI() error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{ns}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		b, err := k.logs(r)
		if err != nil {
			// kubectl shows the words of a 400, and not those of a 404.
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(b)
	})
	port, err := k.serveTLS(mux)
	k.port = port
	return err
}

// serveTLS serves on a free loopback port with the kubelet's certificate.
func (k *kubelet) serveTLS(h http.Handler) (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		log.Print(srv.ServeTLS(l, filepath.Join(k.dir, "kubelet.crt"), filepath.Join(k.dir, "kubelet.key")))
	}()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (k *kubelet) logs(r *http.Request) ([]byte, error) {
	q := r.URL.Query()
	for _, not := range []string{"follow", "sinceSeconds", "sinceTime", "timestamps"} {
		if v := q.Get(not); v != "" && v != "false" {
			return nil, fmt.Errorf("the testbed does not simulate logs with %s", not)
		}
	}
	path := logPath(k.dir, r.PathValue("ns"), r.PathValue("pod"), r.PathValue("container"))
	if q.Get("previous") == "true" {
		path += ".previous"
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("no such log: %s", filepath.Base(path))
	}
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil {
		b = lastLines(b, n)
	}
	if n, err := strconv.Atoi(q.Get("limitBytes")); err == nil && n < len(b) {
		b = b[:n]
	}
	return b, nil
}

// lastLines returns the last n lines of b.
func lastLines(b []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if len(lines) > 0 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}
