# shellcheck shell=bash disable=SC2034,SC2154
# etcd and etcdctl of Debian.
version=3.4.23
tools="apt-get dpkg-deb"

build() {
  unpack "$work/root" etcd-server etcd-client
  cp "$work/root/usr/bin/etcd" "$work/root/usr/bin/etcdctl" "$into/"
  expect "$version" "$into/etcd" --version
  expect "$version" env ETCDCTL_API=3 "$into/etcdctl" version
}
