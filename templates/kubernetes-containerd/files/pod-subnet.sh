#!/bin/sh
# Waits for the subnet that flannel leases to this node, and writes the network plugins' config for it. Until it is
# there, the kubelet says that the node isn't ready, and no pod starts.
set -u
umask 077
mkdir -p /run/kubernetes/cni
until
  subnet=$(sed -n 's|^FLANNEL_SUBNET=\([0-9]*\.[0-9]*\.[0-9]*\.[0-9]*/[0-9]*\)$|\1|p' /run/flannel/subnet.env 2>/dev/null) && [ -n "$subnet" ]
do
  echo "waiting for flannel's lease, which waits for etcd: its log says more"
  sleep 1
done
# The lease is the bridge's address; the plugins want the network's.
length=${subnet#*/}
# shellcheck disable=SC2046  # four words
set -- $(echo "${subnet%/*}" | tr . ' ')
number=$((($1 << 24 | $2 << 16 | $3 << 8 | $4) >> (32 - length) << (32 - length)))
network=$((number >> 24)).$((number >> 16 & 255)).$((number >> 8 & 255)).$((number & 255))/$length
sed "s|@SUBNET@|$network|" /opt/kubernetes/cni.conflist >/run/kubernetes/cni/new
mv /run/kubernetes/cni/new /run/kubernetes/cni/10-flannel.conflist
echo "this node's pods are in $network"
