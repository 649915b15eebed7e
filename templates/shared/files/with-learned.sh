#!/bin/sh
# with-learned.sh PROGRAM ARGUMENT...: runs it with what this node learned since it booted, where its arguments
# say $NODE_ADDRESS or $API_ENDPOINT. It waits until that is known: other services write it to /run/kubernetes.
set -u

# put NAME FILE: replaces $NAME in $argument by its value in the file.
put() {
  until [ "$argument" = "${argument#*"\$$1"}" ]; do
    until value=$(sed -n "s/^$1=//p" "$2" 2>/dev/null) && [ -n "$value" ]; do
      echo "waiting for $1 in $2"
      sleep 1
    done
    argument=${argument%%"\$$1"*}$value${argument#*"\$$1"}
  done
}

for argument; do
  shift
  put NODE_ADDRESS /run/kubernetes/address.env
  put API_ENDPOINT /run/kubernetes/api.env
  set -- "$@" "$argument"
done
exec "$@"
