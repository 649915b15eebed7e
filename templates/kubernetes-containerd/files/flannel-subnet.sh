#!/bin/sh
# Writes the network plugins' config for the subnet that flannel leased. Until it is there, the kubelet says that the
# node isn't ready, and no pod starts.
set -eu
until [ -s /run/flannel/subnet.env ]; do sleep 1; done
# shellcheck source=/dev/null
. /run/flannel/subnet.env
length=${FLANNEL_SUBNET#*/}
subnet=$(echo "${FLANNEL_SUBNET%/*}" | tr . ' ')
# shellcheck disable=SC2086  # four words
set -- $subnet
number=$((($1 << 24 | $2 << 16 | $3 << 8 | $4) >> (32 - length) << (32 - length)))
subnet=$((number >> 24)).$((number >> 16 & 255)).$((number >> 8 & 255)).$((number & 255))/$length
mkdir -p /run/kubernetes/cni
sed "s|@SUBNET@|$subnet|" /opt/kubernetes/cni.conflist >/run/kubernetes/cni/10-flannel.conflist.new
mv /run/kubernetes/cni/10-flannel.conflist.new /run/kubernetes/cni/10-flannel.conflist
echo "pods get addresses in $subnet"
