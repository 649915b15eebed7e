#!/bin/sh
# with-address.sh PROGRAM ARGUMENT...: runs it, with this node's address in its environment as NODE_ADDRESS,
# and wherever an argument says $NODE_ADDRESS. The service node-address finds it.
set -u
until [ -s /run/kubernetes/address.env ]; do
  echo "waiting for node-address"
  sleep 1
done
# shellcheck source=/dev/null
. /run/kubernetes/address.env
export NODE_ADDRESS

# shellcheck disable=SC2016  # the name itself is looked for
for argument; do
  shift
  known=
  while [ "$argument" != "${argument#*'$NODE_ADDRESS'}" ]; do
    known=$known${argument%%'$NODE_ADDRESS'*}$NODE_ADDRESS
    argument=${argument#*'$NODE_ADDRESS'}
  done
  set -- "$@" "$known$argument"
done
exec "$@"
