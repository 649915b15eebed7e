#!/bin/sh
# Puts flannel's network into etcd, and lets flannel's certificate reach nothing else there: every
# node has one. Right whether it ran before or not. Its exit holds flannel back, and its exit code
# is ignored by the OS, so it tries until all of it is true.
set -u

# ensure ARGUMENT...: etcdctl does it, or says that it was done before.
ensure() {
  said=$(etcdctl "$@" 2>&1) && return
  case $said in
    *"already exists"*) return 0 ;;
  esac
  echo "etcdctl $1: $said"
  return 1
}

# reserve: flannel leases no subnet that overlaps a lease, whoever has it; and it leaves alone what has a
# backend that it doesn't know. Without a time to live this one stays.
reserve() {
  [ -z "${FLANNEL_RESERVED:-}" ] ||
    ensure put "/coreos.com/network/subnets/$FLANNEL_RESERVED" '{"PublicIP":"0.0.0.0","BackendType":"reserved"}'
}

until
  reserve &&
    ensure put /coreos.com/network/config "$FLANNEL_CONFIG" &&
    ensure role add flannel &&
    ensure role grant-permission flannel --prefix=true readwrite /coreos.com/network/ &&
    ensure user add flannel --no-password &&
    ensure user grant-role flannel flannel &&
    ensure user add root --no-password &&
    ensure user grant-role root root &&
    ensure auth enable
do
  echo "waiting for etcd at $ETCDCTL_ENDPOINTS"
  sleep 1
done
echo "flannel's network and its rights are in etcd"
