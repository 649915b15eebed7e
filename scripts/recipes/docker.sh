# shellcheck shell=bash disable=SC2034,SC2154
# User Docker for an OS whose image has none: dockerd with its command line, containerd and runc, all static, since the
# console's C library is older than the one here.
version=25.0.6
tools="gcc pkg-config apt-get dpkg-deb"
CONTAINERD=1.7.29
RUNC=1.1.15

build() {
  local engine=$into/engine
  # `docker` looks for its own plugins there; none of them is needed.
  mkdir "$engine" "$into/engine-plugins"
  toolchain
  moby docker
  goflags=-mod=mod go_build "$GO" "$work/docker" -tags "netgo osusergo exclude_graphdriver_btrfs exclude_graphdriver_devicemapper exclude_graphdriver_zfs no_btrfs" \
    -ldflags "-s -w -X github.com/docker/docker/dockerversion.Version=$version -X github.com/docker/docker/dockerversion.GitCommit=module" \
    -o "$engine/" -- ./cmd/dockerd ./cmd/docker-proxy
  moby cli
  # The commit that it names is of a branch that the module proxy doesn't have.
  (cd "$work/cli" && go_of "$GO" mod edit -replace "github.com/docker/docker=github.com/docker/docker@v$version+incompatible")
  goflags=-mod=mod go_build "$GO" "$work/cli" -tags "netgo osusergo" \
    -ldflags "-s -w -X github.com/docker/cli/cli/version.Version=$version -X github.com/docker/cli/cli/version.GitCommit=module" \
    -o "$engine/" -- ./cmd/docker
  module "github.com/containerd/containerd@v$CONTAINERD" "$work/containerd"
  goflags=-mod=mod go_build "$GO" "$work/containerd" -tags "netgo osusergo no_btrfs no_cri no_devmapper no_zfs" \
    -ldflags "-s -w -X github.com/containerd/containerd/version.Version=$CONTAINERD" \
    -o "$engine/" -- ./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr
  runc "$RUNC" "$engine"
  unpack "$work/root" tini
  cp "$work/root/usr/bin/tini-static" "$engine/docker-init"
  expect "$version" "$engine/dockerd" --version
  expect "$version" "$engine/docker" --version
  expect "$CONTAINERD" "$engine/containerd" --version
  expect "version" "$engine/docker-init" --version
}

# moby NAME: the source of github.com/docker/NAME, whose list of modules isn't called go.mod.
moby() {
  module "github.com/docker/$1@v$version+incompatible" "$work/$1"
  cp "$work/$1/vendor.mod" "$work/$1/go.mod"
  cp "$work/$1/vendor.sum" "$work/$1/go.sum"
}
