package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// bom is a CycloneDX 1.6 document: of the two common formats, the one that
// Dependency-Track reads as well as grype, trivy and GitHub's attestations.
//
// The linker records modules without the edges between them, so the document has
// no dependency graph. It names watchdog's own license, which is in LICENSE, and
// none of the modules': build information does not tell them.
type bom struct {
	Schema       string      `json:"$schema"`
	BOMFormat    string      `json:"bomFormat"`
	SpecVersion  string      `json:"specVersion"`
	SerialNumber string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []license  `json:"licenses,omitempty"`
	CPE        string     `json:"cpe,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func newBOM(bin binary, version string, at time.Time) (bom, error) {
	main := component{
		Ref: purl(bin.Info.Main.Path, version), Type: "application", Name: bin.Info.Main.Path, Version: version,
		Hashes: []hash{{"SHA-256", hex.EncodeToString(bin.SHA256[:])}}, Licenses: make([]license,
			1), PURL: purl(bin.Info.Main.Path, version),
	}
	main.Licenses[0].License.ID = "Apache-2.0"
	for _, s := range bin.Info.Settings {
		main.Properties = append(main.Properties, property{"go:build:" + s.Key, s.Value})
	}
	doc := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", BOMFormat: "CycloneDX", SpecVersion: "1.6",
		SerialNumber: serial(bin), Version: 1,
		Metadata:   metadata{Timestamp: at.Format(time.RFC3339), Component: main},
		Components: []component{stdlib(bin.Info.GoVersion)},
	}
	for _, dep := range bin.Info.Deps {
		m := linked(dep)
		sum, err := dirHash(m)
		if err != nil {
			return bom{}, err
		}
		doc.Components = append(doc.Components, component{
			Ref: purl(m.Path, m.Version), Type: "library", Name: m.Path, Version: m.Version,
			Hashes: []hash{{"SHA-256", sum}}, PURL: purl(m.Path, m.Version), Properties: []property{{"go:sum", m.Sum}},
		})
	}
	return doc, nil
}

// stdlib is Go's standard library, named as syft names it, so that scanners find
// its vulnerabilities.
func stdlib(goVersion string) component {
	v, _, _ := strings.Cut(strings.TrimPrefix(goVersion, "go"), " ") // without experiments: "go1.26.8 X:jsonv2"
	p := purl("stdlib", v)
	return component{Ref: p, Type: "library", Name: "stdlib", Version: goVersion, CPE: "cpe:2.3:a:golang:go:" + v +
		":-:*:*:*:*:*:*", PURL: p}
}

// serial is the document's UUID. GitHub's attestations require one; it is made of
// the binary's hash (version 8 of RFC 9562), so that two runs agree.
func serial(bin binary) string {
	u := bin.SHA256
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
