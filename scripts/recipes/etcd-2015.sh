# shellcheck shell=bash disable=SC2034,SC2154
# etcd and etcdctl of 2015, for tests/: the last 2.0 that the module proxy has. Nodes get 2.0.10, the line's.
# shellcheck source=scripts/recipes/old.sh
. "$recipes/old.sh"
version=2.0.5
tools=""

build() {
  old_source github.com/coreos/etcd "v$version+incompatible"
  old_go -ldflags "-s -w" -o "$into/" -- . ./etcdctl
  expect "$version" "$into/etcd" --version
}
