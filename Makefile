# watchdog: `make help` lists the targets.
SHELL   := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# One version and commit are one binary, byte for byte, wherever the tree lies: no paths (-trimpath), and no look at the state of
# the work tree (-buildvcs=false). The same compiler is go.mod's toolchain.
BUILDINFO := github.com/prometheus/common/version
GOFLAGS_RELEASE := -trimpath -buildvcs=false -ldflags "-s -w -X $(BUILDINFO).Version=$(VERSION) -X $(BUILDINFO).Revision=$(COMMIT)"
# The same flags for everything that shares Kubernetes packages: the build cache is shared too.
KUBE    := k8s.io/component-base/version
TESTBED_LDFLAGS := -s -w -X $(KUBE).gitVersion=v1.37.2 -X $(KUBE).gitMajor=1 -X $(KUBE).gitMinor=37 -X $(KUBE).gitTreeState=clean
TESTBED_SOURCES := $(shell find testbed -name '*.go' -o -name 'go.mod' -o -name 'go.sum' 2>/dev/null)
SOURCES := $(shell find cmd pkg internal examples -name '*.go' 2>/dev/null) go.mod go.sum

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/watchdog ## build bin/watchdog

bin/watchdog: $(SOURCES)
	CGO_ENABLED=0 go build $(GOFLAGS_RELEASE) -o $@ ./cmd/watchdog

bin/agent-system: $(SOURCES)
	CGO_ENABLED=0 go build -trimpath -o $@ ./examples/$(notdir $@)

bin/fleet: $(SOURCES)
	CGO_ENABLED=0 go build -trimpath -o $@ ./internal/fleet/cmd/fleet

bin/demo: $(SOURCES)
	CGO_ENABLED=0 go build -trimpath -o $@ ./internal/demo/cmd/demo

bin/testbed: $(TESTBED_SOURCES)
	@hack/slow "building the testbed: Kubernetes itself, once (11 to 22 minutes on two cores, a minute afterwards)" \
	  env -C testbed CGO_ENABLED=0 go build -trimpath -ldflags "$(TESTBED_LDFLAGS)" -o ../bin/testbed .

bin/alertmanager: hack/alertmanager test/tools/alertmanager/go.mod
	@hack/slow "building Alertmanager (a minute on two cores)" hack/alertmanager $@

bin/prometheus: hack/prometheus test/tools/prometheus/go.mod
	@hack/slow "building Prometheus (5 minutes on two cores, once)" hack/prometheus $@

bin/promtool: hack/prometheus test/tools/prometheus/go.mod
	@hack/slow "building promtool (2 minutes on two cores, once)" hack/prometheus $@ promtool

bin/gatus: hack/gatus test/tools/gatus/go.mod
	@hack/slow "building Gatus (3 minutes on two cores, once)" hack/gatus $@

bin/blackbox_exporter: hack/blackbox_exporter test/tools/blackbox_exporter/go.mod
	@hack/slow "building blackbox_exporter (a minute on two cores, once)" hack/blackbox_exporter $@

bin/golangci-lint: hack/golangci-lint test/tools/golangci-lint/go.mod
	@hack/slow "building golangci-lint (a minute on two cores, once)" hack/golangci-lint $@

testbed: bin/testbed ## build bin/testbed, the Kubernetes control plane for tests and demo

demo: hack-need bin/watchdog bin/agent-system bin/demo bin/testbed ## watch watchdog roll back a bad release; other scenarios: SCENARIO=overload|crash|slow|agents|dependency|hold
	@bin/demo $(if $(SCENARIO),-scenario $(SCENARIO))

test: SIM_INCIDENTS = 25000
test: unit fuzz explore sim differential integration ## all tests that CI runs

test-full: unit fuzz explore sim mutants differential integration reproducible soak ## all of test, with 100,000 simulated incidents, every mutant, a second build of the release, and an hour at rest

unit: hack-need ## unit tests with the race detector, in random order; the explorer and many simulated worlds have targets of their own
	go test -race -shuffle=on $$(go list ./... | grep -v /internal/explore)

integration: hack-need-servers bin/watchdog bin/agent-system bin/testbed bin/prometheus bin/alertmanager ## tests on a real Kubernetes control plane
	go test -tags integration -count=1 -timeout 45m -v ./test/... | hack/failures

explore: ## explore every state of the op protocol: crashes, lost leases, late writes, people
	go test -count=1 -timeout 10m -v ./internal/explore

outside: ## tests for faults found from outside, one file each (test/outside, docs/outside.md)
	go test -count=1 -v -run TestOutside ./cmd/watchdog

SIM_INCIDENTS ?= 100000
sim: ## simulate 100,000 incidents in seeded worlds; checks every invariant and scores the decisions
	GOGC=400 SIM_INCIDENTS=$(SIM_INCIDENTS) go test -p 1 -count=1 -timeout 60m -v ./internal/sim ./cmd/watchdog

sim-million: ## simulate a million incidents and write docs/sim-million.md (about 15 minutes)
	SIM_INCIDENTS=1000000 SIM_REPORT=../../docs/sim-million.md SIM_COMMIT=$(VERSION) go test -count=1 -timeout 120m -v -run 'TestSwarm$$' ./internal/sim

museum: ## play accidents of other systems against watchdog
	go test -count=1 -v -run TestMuseum ./internal/sim -args -visits 20

mutants: ## add safety bugs one at a time; the simulator must detect each; TABLE=1 writes docs/mutants.md
	@go test -count=1 -timeout 90m -v ./internal/mutants -args -all $(if $(TABLE),-table) | grep -Ev '^=== |^ +--- PASS'

differential: ## compare watchdog's rule evaluation with Prometheus' own code, and the backtest with the live rules
	@DIFF_WORLDS=60 go test -count=1 -timeout 10m -v -run 'TestGroupsAgreeWithPrometheus$$|TestLiveAndBacktestAgree$$' ./pkg/rules ./internal/backtest | grep -Ev '^=== |^ +--- PASS'

FUZZTIME ?= 30s
fuzz: ## run every fuzz target for FUZZTIME (30s), one per core at a time
	@hack/fuzz $(FUZZTIME)

check: ## check gofmt, go vet, golangci-lint, go.mod and module checksums
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these files"; exit 1; }
	go vet ./...
	go vet -tags integration ./test/...
	go vet -tags reproducible ./internal/supplychain
	go mod tidy -diff
	go mod verify
	@# After go vet, which has compiled what golangci-lint loads.
	@$(MAKE) --no-print-directory lint

lint: bin/golangci-lint ## golangci-lint with .golangci.yml; a part of check
	bin/golangci-lint run ./...

GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
vuln: ## report known vulnerabilities in code that is called (queries vuln.go.dev)
	go run $(GOVULNCHECK) ./...

reproducible: ## build the release twice, in two directories with two build caches, and compare the bytes (10 minutes on two cores)
	go test -tags reproducible -count=1 -timeout 60m -v -run Release ./internal/supplychain

# Documents carry the commit's date, and say who built: a workflow sets BUILDER and SOURCE to its own URIs.
BUILDER ?= https://watchdog.io/watchdog/builder/local
SOURCE  ?=
SUPPLYCHAIN = SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} go run ./internal/supplychain -version '$(VERSION)' -commit '$(COMMIT)' -flags '$(GOFLAGS_RELEASE)' -builder '$(BUILDER)' -source '$(SOURCE)'

sbom: bin/watchdog ## write bin/watchdog.cdx.json: the modules of bin/watchdog, as CycloneDX 1.6
	$(SUPPLYCHAIN) sbom bin/watchdog > bin/watchdog.cdx.json

release: ## build bin/watchdog from a clean commit, with its bill of materials, provenance and checksums
	@test -z "$$(git status --porcelain)" || { echo "release: commit or remove these changes first:"; git status --short; exit 1; } >&2
	rm -f bin/watchdog
	@$(MAKE) --no-print-directory sbom
	$(SUPPLYCHAIN) provenance bin/watchdog > bin/watchdog.intoto.json
	cd bin && sha256sum watchdog watchdog.cdx.json watchdog.intoto.json | tee SHA256SUMS

bench: bin/watchdog bin/agent-system bin/testbed bin/alertmanager bin/fleet ## run the benchmarks for docs/figures.md
	go test -cpu 1 -run '^$$' -bench . -benchmem ./pkg/... | tee bin/bench.txt
	go test -tags integration -run '^$$' -bench . -benchtime 1x -timeout 60m ./test/e2e | tee -a bin/bench.txt
	GOGC=400 go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./internal/backtest | tee -a bin/bench.txt
	bin/fleet bench -warm 20s -window 30s | tee -a bin/bench.txt

WARM ?= 30s
WINDOW ?= 60s
bench-fleet: bin/watchdog bin/fleet ## measure the daemon with 100, 1,000 and 10,000 targets, with stored incidents, and with targets that hang
	bin/fleet bench -warm $(WARM) -window $(WINDOW) $(if $(PROFILES),-profiles $(PROFILES)) | tee bin/fleet.txt
	bin/fleet bench -targets 10000 -hang 2000 -warm $(WARM) -window $(WINDOW) | tee -a bin/fleet.txt
	bin/fleet takeover -incidents 2000,10000 -memory-limit 256 | tee -a bin/fleet.txt
	bin/fleet takeover -incidents 2000,10000 -memory-limit 256 -open | tee -a bin/fleet.txt

bench-peers: bin/watchdog bin/fleet bin/gatus bin/blackbox_exporter bin/prometheus bin/promtool ## compare the cost of probing and of rule tests with other programs, in turns; 20 minutes
	bin/fleet peers | tee bin/peers.txt
	bin/fleet rules | tee -a bin/peers.txt

SOAK ?= 60m
soak: bin/watchdog bin/fleet ## run the daemon with 1,000 targets for SOAK (60m), and fail if its memory grows; a part of make test-full
	bin/fleet soak -targets 1000 -for $(SOAK) -report bin/soak.txt

# The tag that the chart asks for.
IMAGE := watchdog:$(shell awk '/^appVersion:/ {gsub(/"/, ""); print $$2}' deploy/helm/watchdog/Chart.yaml)
image: ## build a container image with docker or podman, with the tag that the chart uses
	$$(command -v podman || command -v docker || { echo "image: neither podman nor docker is installed" >&2; echo false; }) build -t $(IMAGE) -t watchdog:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .
	@echo "built $(IMAGE)"

clean: ## remove build results
	rm -rf bin

hack-need:
	@hack/need

hack-need-servers:
	@hack/need servers

.PHONY: help build testbed demo test test-full unit integration explore outside sim sim-million museum mutants differential fuzz check lint vuln reproducible sbom release bench bench-fleet bench-peers soak image clean hack-need hack-need-servers
