#!/bin/sh
# Puts the add-ons into the cluster, by server-side apply: whoever does it, and how often, the result is the same. The OS
# ignores the exit code, so it tries until all are in.
set -u

kube() {
  kubectl --kubeconfig=/opt/kubernetes/addons.kubeconfig --cache-dir=/tmp/cache apply --server-side "$@"
}

# Numbers of replicas have an owner of their own, and nothing forces them: whoever scales by hand keeps it so.
replicas() {
  said=$(kube --field-manager=remuda-replicas --filename=/opt/kubernetes/addons-replicas 2>&1)
  status=$?
  echo "$said"
  case $said in
    *"Apply failed with "*conflict*) echo "the numbers of replicas that somebody else has set stay" ;;
    *) return $status ;;
  esac
}

until kube --force-conflicts --field-manager=remuda --filename=/opt/kubernetes/addons && replicas; do
  echo "waiting for the API"
  sleep 1
done
echo "the add-ons are in"
