#!/bin/sh
# Gives this node the labels of its config, and takes away those that an earlier config gave it: the
# kubelet sets labels when a node registers, and never again. $LABELS: KEY=VALUE, with blanks between; not
# set where there is none. An annotation has the fingerprint of the config, for `remuda status`.
set -u
LABELS=${LABELS-}

node() {
  kubectl --kubeconfig=/opt/kubernetes/kubelet.kubeconfig --cache-dir=/tmp/cache "$@"
}

apply() {
  given=$(node get node "$NODE" -o 'jsonpath={.metadata.annotations.remuda/labels}') || return 1
  # shellcheck disable=SC2086  # one word per label
  set -- $LABELS
  for label in $given; do
    case " $LABELS " in
      *" ${label%%=*}="*) ;;
      *) set -- "$@" "${label%%=*}-" ;;
    esac
  done
  [ $# -eq 0 ] || node label node "$NODE" --overwrite "$@" || return 1
  node annotate node "$NODE" --overwrite "remuda/labels=$LABELS" "remuda/config=$(cat /opt/kubernetes/config-fingerprint)"
}

until apply; do
  echo "waiting for the API, and for this node in it"
  sleep 5
done
