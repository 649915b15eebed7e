# shellcheck shell=bash disable=SC2034,SC2154
# etcd, etcdctl and etcdutl, as etcd 3.7 is built.
# shellcheck source=scripts/recipes/etcd-3.7.sh
. "$recipes/etcd-3.7.sh"
version=3.6.16
