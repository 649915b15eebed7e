#!/bin/sh
# Writes API_ENDPOINT=ADDRESS:PORT to /run/kubernetes/api.env, as the control plane published it in etcd; for
# ever: when it changes, the services that were told the old one are started anew.
set -u
env=/run/kubernetes/api.env
# What an earlier run of this boot found.
known=$(sed -n 's/^API_ENDPOINT=//p' "$env" 2>/dev/null)

endpoint() {
  answer=$(wget -q -O - http://127.0.0.1:2379/v2/keys/rancher.io/k8s/master 2>/dev/null) || return 1
  found=$(echo "$answer" | sed -n 's/.*"value":"\([0-9A-Za-z.-]*:[0-9]*\)".*/\1/p')
  [ -n "$found" ]
}

mkdir -p /run/kubernetes
while true; do
  if ! endpoint; then
    [ -n "$known" ] || echo "waiting for etcd on this node, and for the control plane to publish its endpoint"
  elif [ "$found" != "$known" ]; then
    echo "API_ENDPOINT=$found" >"$env.new"
    mv "$env.new" "$env"
    echo "the API is at $found"
    if [ -n "$known" ]; then
      for service in kubelet kube-proxy register-node; do
        system-docker restart "$service"
      done
    fi
    known=$found
  fi
  sleep 2
done
