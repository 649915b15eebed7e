#!/bin/sh
# Waits for the subnet that flannel leases to this node, and gives it to user Docker, which starts after this.
set -u
mkdir -p /run/kubernetes
until
  # shellcheck source=/dev/null
  [ -s /run/flannel/subnet.env ] && . /run/flannel/subnet.env && [ -n "${FLANNEL_SUBNET:-}" ]
do
  echo "waiting for flannel's lease, which waits for etcd: its log says more"
  sleep 1
done
echo "DOCKER_OPTS=--bip=$FLANNEL_SUBNET" >/run/kubernetes/docker.new && mv /run/kubernetes/docker.new /run/kubernetes/docker
echo "this node's subnet is $FLANNEL_SUBNET"
