# shellcheck shell=bash disable=SC2034,SC2154
# The add-on metrics-server.
version=0.9.0
tools=""

build() {
  local path=sigs.k8s.io/metrics-server
  toolchain
  module "$path@v$version" "$work/metrics-server"
  goflags=-mod=mod go_build "$GO" "$work/metrics-server" -ldflags "-s -w -X k8s.io/client-go/pkg/version.gitVersion=v$version" \
    -o "$into/metrics-server" -- ./cmd/metrics-server
  expect "v$version" "$into/metrics-server" --version
}
