#!/bin/sh
# Loads the tarballs with the images of pods into containerd, and pins every image. Nothing that needs one starts
# before, and the OS ignores the exit code, so it tries until all are in. NAME.done marks a tarball that was loaded.
set -u
ctr() {
  command ctr --address /run/kubernetes/containerd/containerd.sock --namespace k8s.io "$@"
}

load() {
  [ ! -e "$1.done" ] || return 0
  echo "loading ${1##*/}"
  case $1 in
    *gz) gunzip -c "$1" | ctr images import - ;;
    *) ctr images import "$1" ;;
  esac && : >"$1.done"
}

until ctr version >/dev/null 2>&1; do
  echo "waiting for containerd"
  sleep 1
done
for file in /var/lib/rancher/preload/containerd/*.tar /var/lib/rancher/preload/containerd/*.tar.gz; do
  [ -e "$file" ] || continue
  until load "$file"; do
    echo "trying again in 5 seconds"
    sleep 5
  done
done
for image in $(ctr images list --quiet); do
  case $image in
    sha256:*) ;;
    *) ctr images label "$image" io.cri-containerd.pinned=pinned >/dev/null ;;
  esac
done
echo "the images are there"
