#!/bin/sh
# Waits for the subnet that flannel leases to this node, and gives it to user Docker, which starts after this.
set -u
mkdir -p /run/kubernetes
until
  subnet=$(sed -n 's|^FLANNEL_SUBNET=\([0-9]*\.[0-9]*\.[0-9]*\.[0-9]*/[0-9]*\)$|\1|p' /run/flannel/subnet.env 2>/dev/null) && [ -n "$subnet" ]
do
  echo "waiting for flannel's lease, which waits for etcd: its log says more"
  sleep 1
done
echo "DOCKER_OPTS=--bip=$subnet" >/run/kubernetes/docker.new && mv /run/kubernetes/docker.new /run/kubernetes/docker
echo "this node's subnet is $subnet"
