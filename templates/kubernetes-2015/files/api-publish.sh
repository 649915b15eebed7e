#!/bin/sh
# api-publish.sh ADDRESS:PORT: puts it into etcd, where the workers read it.
set -u
until said=$(etcdctl set /rancher.io/k8s/master "$1" 2>&1); do
  echo "waiting for etcd on this node: $said"
  sleep 1
done
echo "the API is at $1"
