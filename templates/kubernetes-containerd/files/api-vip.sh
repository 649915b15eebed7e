#!/bin/sh
# Runs keepalived on the interface that has this node's own address, $ADDRESS.
set -u
device=""
while [ -z "$device" ]; do
  device=$(ip -o -4 address show to "$ADDRESS/32" | awk '{ print $2; exit }')
  [ -n "$device" ] || { echo "waiting for $ADDRESS"; sleep 1; }
done
sed "s/DEVICE/$device/" /opt/kubernetes/keepalived.conf >/run/keepalived.conf
# After a power cut the container has the files of the last boot. The number in them is this process's own again, and
# keepalived would take itself for one that runs already.
rm -f /run/keepalived.pid /run/vrrp.pid
exec keepalived --dont-fork --log-console --use-file=/run/keepalived.conf --pid=/run/keepalived.pid --vrrp_pid=/run/vrrp.pid
