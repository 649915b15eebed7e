#!/bin/sh
# Puts the add-ons into the cluster, by server-side apply: whoever does it, and how often, the result is the same. The OS
# ignores the exit code, so it tries until all are in.
set -u
until kubectl --kubeconfig=/opt/kubernetes/addons.kubeconfig --cache-dir=/tmp/cache \
  apply --server-side --force-conflicts --field-manager=remuda --filename=/opt/kubernetes/addons; do
  echo "waiting for the API"
  sleep 1
done
echo "the add-ons are in"
