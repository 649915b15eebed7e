# shellcheck shell=bash disable=SC2034,SC2154
# What runs pods: containerd, runc and the network plugins that it calls, all static.
version=2.3.7
tools="gcc pkg-config dpkg-deb"
RUNC=1.4.3
PLUGINS=1.10.0

build() {
  local path=github.com/containerd/containerd/v2
  toolchain
  module "$path@v$version" "$work/containerd"
  goflags=-mod=mod go_build "$GO" "$work/containerd" -tags "netgo osusergo static_build urfave_cli_no_docs no_btrfs no_devmapper no_zfs" \
    -ldflags "-s -w -X $path/version.Version=$version -X $path/version.Package=$path" \
    -o "$into/" -- ./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr
  runc "$RUNC" "$into"
  path=github.com/containernetworking/plugins
  module "$path@v$PLUGINS" "$work/plugins"
  mkdir "$into/cni"
  goflags=-mod=mod go_build "$GO" "$work/plugins" -ldflags "-s -w -X $path/pkg/utils/buildversion.BuildVersion=v$PLUGINS" \
    -o "$into/cni/" -- ./plugins/main/bridge ./plugins/main/loopback ./plugins/ipam/host-local ./plugins/meta/portmap
  expect "$version" "$into/containerd" --version
  expect "$version" "$into/ctr" --version
  for program in bridge loopback host-local portmap; do CNI_COMMAND="" expect "v$PLUGINS" "$into/cni/$program"; done
}
