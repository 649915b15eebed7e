# shellcheck shell=bash disable=SC2034,SC2154
# The cluster's DNS.
version=1.15.0
tools=""

build() {
  local path=github.com/coredns/coredns
  toolchain
  module "$path@v$version" "$work/coredns"
  prepare
  goflags=-mod=mod go_build "$GO" "$work/coredns" -ldflags "-s -w -X $path/coremain.GitCommit=module" -o "$into/coredns" -- .
  expect "CoreDNS-$version" "$into/coredns" -version
}

# What a version needs before it is built.
prepare() { :; }
