# Two commands do all the set-up: make run, make test. Bare make prints this help.
.DEFAULT_GOAL := help
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Tests are compiled as what is built: the second of make run and make test finds most of it done.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath -tags=nomsgpack

.PHONY: help run test lint bench build fmt generate services-up services-down

help: ## print this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: build ## build and start everything in one process, data in ./data
	@bin/ocelot up

build: ## build bin/ocelot
	@go build -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

test: ## run the tests; needs no network, no Docker
	go test ./...

lint: ## golangci-lint and govulncheck
	golangci-lint run
	govulncheck ./...

bench: ## the benchmarks of the hot paths; docs/benchmarks.md says how to read them
	go test -run '^$$' -bench . -benchtime 2s ./pkg/... ./internal/...

fmt: ## format the code
	gofmt -w cmd internal pkg tests

services-up: ## start real MongoDB, OpenSearch and SQS servers on loopback, without Docker
	tests/services/services up

services-down: ## stop them
	tests/services/services down

generate: ## rewrite what is made from the code: configs, golden files
	UPDATE=1 go test ./internal/config
	go test ./... -run Golden -update
