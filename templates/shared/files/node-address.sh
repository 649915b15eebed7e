#!/bin/sh
# Writes NODE_ADDRESS=ADDRESS to /run/kubernetes/address.env: the address on the interface that the config
# names, or that has the config's MAC address, or else that has the default route. It waits for it for
# ever. /run is empty after each boot, so what lies there is this boot's address.
set -u
env=/run/kubernetes/address.env

interface() {
  if [ -n "${NODE_INTERFACE:-}" ]; then
    echo "$NODE_INTERFACE"
  elif [ -n "${NODE_MAC:-}" ]; then
    for one in /sys/class/net/*; do
      [ "$(cat "$one/address" 2>/dev/null)" != "$NODE_MAC" ] || { echo "${one##*/}" && return; }
    done
  else
    # default via 10.0.0.1 dev eth0 …
    # shellcheck disable=SC2046  # its words
    set -- $(ip -4 route show default)
    while [ $# -gt 1 ]; do
      [ "$1" != dev ] || { echo "$2" && return; }
      shift
    done
  fi
}

address() {
  on=$(interface)
  [ -n "$on" ] || return 1
  # 2: eth0 inet 10.0.0.21/24 …
  # shellcheck disable=SC2046  # its words
  set -- $(ip -4 -o address show dev "$on" scope global 2>/dev/null)
  [ $# -ge 4 ] && echo "${4%/*}"
}

mkdir -p /run/kubernetes
until found=$(address); do
  echo "waiting for an address on ${NODE_INTERFACE:-${NODE_MAC:-the interface with the default route}}"
  sleep 1
done
echo "NODE_ADDRESS=$found" >"$env.new" && mv "$env.new" "$env"
echo "this node's address is $found"
