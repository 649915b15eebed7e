#!/bin/sh
# Puts flannel's network into etcd, when etcd is healthy. Right whether it ran before or not.
set -u

# flannel leases no subnet that overlaps a lease, whoever has it, and leaves alone what has a backend that it
# doesn't know.
reserve() {
  [ -z "${FLANNEL_RESERVED:-}" ] ||
    etcdctl set "/coreos.com/network/subnets/$FLANNEL_RESERVED" '{"PublicIP":"0.0.0.0","BackendType":"reserved"}'
}

until
  said=$(etcdctl cluster-health 2>&1) &&
    said=$(reserve 2>&1) &&
    said=$(etcdctl set /coreos.com/network/config "$FLANNEL_CONFIG" 2>&1)
do
  echo "waiting for etcd on this node: $said"
  sleep 1
done
echo "flannel's network is in etcd"
