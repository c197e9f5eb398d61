package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// binary is a built program and what the Go linker recorded in it.
type binary struct {
	Name   string
	SHA256 [sha256.Size]byte
	Info   *debug.BuildInfo
	bytes  []byte
}

func readBinary(path string) (binary, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return binary{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(b))
	if err != nil {
		return binary{}, fmt.Errorf("%s has no Go build information: %w", path, err)
	}
	return binary{Name: filepath.Base(path), SHA256: sha256.Sum256(b), Info: info, bytes: b}, nil
}

// build is what the caller says about how the binary was made. With -trimpath the
// binary does not record its linker flags, so the version and the commit come from
// the caller.
type build struct {
	Version, Commit, Flags, Source, Builder string
}

// matches refuses a version or a commit that the binary does not contain: it was
// built from something else.
func (b build) matches(bin binary) error {
	for _, f := range []struct{ name, value string }{{"version", b.Version}, {"commit", b.Commit}} {
		switch {
		case f.value == "":
			return fmt.Errorf("missing -%s", f.name)
		case !bytes.Contains(bin.bytes, []byte(f.value)):
			return fmt.Errorf("%s does not contain the %s %q: it was built from something else; rebuild it with "+
				"make -B bin/watchdog", bin.Name, f.name, f.value)
		}
	}
	return nil
}

// linked is the module whose code is in the binary: the replacement, if there is one.
func linked(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// purl is the package URL of a module. The specification of the type golang asks
// for lower case.
func purl(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + url.QueryEscape(version)
}

// dirHash is the module's h1: sum in hexadecimal, which both formats ask for: the
// SHA-256 of the list of the module's files and their hashes, as in go.sum. A module
// without one was replaced by a folder, whose content nobody can look up.
func dirHash(m *debug.Module) (string, error) {
	b64, ok := strings.CutPrefix(m.Sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(b64)
	if !ok || err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("module %s has the sum %q, want h1:…; a release has no module that is replaced by a "+
			"folder", m.Path, m.Sum)
	}
	return hex.EncodeToString(sum), nil
}
