package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
)

// statement is an in-toto v1 statement with a SLSA v1 provenance predicate: what was
// built, from what, and how. Nobody signs it here. The release workflow adds an
// attestation that the build service signs (SECURITY.md).
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     predicate  `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type predicate struct {
	BuildDefinition buildDefinition `json:"buildDefinition"`
	RunDetails      runDetails      `json:"runDetails"`
}

type buildDefinition struct {
	BuildType            string            `json:"buildType"`
	ExternalParameters   map[string]string `json:"externalParameters"`
	InternalParameters   map[string]string `json:"internalParameters"`
	ResolvedDependencies []resource        `json:"resolvedDependencies"`
}

type runDetails struct {
	Builder builder `json:"builder"`
}

type builder struct {
	ID string `json:"id"`
}

// buildType names the recipe: go build of one package at one commit, as the target
// bin/watchdog of the Makefile does it.
const buildType = "https://watchdog.io/watchdog/make-release/v1"

var (
	gitCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	uri       = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
)

func newStatement(bin binary, b build) (statement, error) {
	switch {
	case !gitCommit.MatchString(b.Commit):
		return statement{}, fmt.Errorf("invalid -commit %q: want the full hash of a git commit", b.Commit)
	case !uri.MatchString(b.Builder):
		return statement{}, fmt.Errorf("invalid -builder %q: want a URI that says who ran the build", b.Builder)
	case b.Flags == "":
		return statement{}, fmt.Errorf("missing -flags: a build cannot be repeated without them")
	}
	internal := map[string]string{"go": bin.Info.GoVersion}
	for _, s := range bin.Info.Settings {
		internal[s.Key] = s.Value
	}
	materials := []resource{
		{Name: "source", URI: b.Source, Digest: map[string]string{"gitCommit": b.Commit}},
	}
	for _, dep := range bin.Info.Deps {
		m := linked(dep)
		sum, err := dirHash(m)
		if err != nil {
			return statement{}, err
		}
		materials = append(materials, resource{URI: purl(m.Path, m.Version), Digest: map[string]string{"dirHash": sum}})
	}
	return statement{
		Type: "https://in-toto.io/Statement/v1",
		Subject: []resource{{Name: bin.Name,
			Digest: map[string]string{"sha256": hex.EncodeToString(bin.SHA256[:])}}},
		PredicateType: "https://slsa.dev/provenance/v1",
		Predicate: predicate{
			BuildDefinition: buildDefinition{
				BuildType: buildType,
				ExternalParameters: map[string]string{"package": bin.Info.Path, "version": b.Version,
					"flags": b.Flags},
				InternalParameters:   internal,
				ResolvedDependencies: materials,
			},
			RunDetails: runDetails{Builder: builder{ID: b.Builder}},
		},
	}, nil
}
