# shellcheck shell=bash disable=SC2034,SC2154
# etcd, etcdctl and etcdutl.
# shellcheck source=scripts/recipes/today.sh
. "$recipes/today.sh"
version=3.7.3
tools=""

build() {
  local path=go.etcd.io/etcd
  toolchain
  main_module etcd <<END
go 1.26.0
require (
	$path/server/v3 v$version
	$path/etcdctl/v3 v$version
	$path/etcdutl/v3 v$version
)
END
  # etcd's own main package is in no module that is published.
  mkdir "$tree/etcd"
  cat >"$tree/etcd/main.go" <<END
package main

import (
	"os"

	"$path/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
END
  build_required -ldflags "-s -w" -- ./etcd $path/etcdctl/v3 $path/etcdutl/v3
  expect "$version" "$into/etcd" --version
  expect "$version" "$into/etcdctl" version
  expect "$version" "$into/etcdutl" version
}
