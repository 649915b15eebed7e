# shellcheck shell=bash disable=SC2034,SC2154
# The add-on storage: what makes volumes of folders on nodes, and the shell that it makes and removes them with.
version=0.0.30
tools="apt-get dpkg-deb"

build() {
  toolchain
  module "github.com/rancher/local-path-provisioner@v$version" "$work/provisioner"
  goflags=-mod=mod go_build "$GO" "$work/provisioner" -ldflags "-s -w -X main.VERSION=v$version" -o "$into/local-path-provisioner" -- .
  unpack "$work/debian" busybox-static
  cp "$work/debian/bin/busybox" "$into/busybox"
  expect "v$version" "$into/local-path-provisioner" --version
  expect "BusyBox v" "$into/busybox"
}
