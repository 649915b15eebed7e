#!/bin/sh
# Loads the tarballs with the images of pods into containerd, and pins every image. Nothing that needs one starts
# before, and the OS ignores the exit code, so it tries until all are in. NAME.done marks a tarball that was loaded.
# At last it removes old tarballs of both engines: nobody visits a node because its disk is full.
set -u
preload=/var/lib/rancher/preload
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

# tidy ENGINE: of remuda's tarballs that are loaded, the last two stay: that of what runs, and that of what it may go
# back to, or which has the layers that the last one lacks.
tidy() {
  for mark in "$preload/$1/$1"-*-????????????.tar*.done; do
    newer=0
    for other in "$preload/$1/$1"-*-????????????.tar*.done; do
      # shellcheck disable=SC3013  # dash has it
      if [ -e "${other%.done}" ] && [ "$other" -nt "$mark" ]; then newer=$((newer + 1)); fi
    done
    [ "$newer" -lt 2 ] || { rm -f "${mark%.done}" "$mark" && echo "removed ${mark%.done}: two newer ones are loaded"; }
  done
}

until ctr version >/dev/null 2>&1; do
  echo "waiting for containerd"
  sleep 1
done
for file in "$preload"/containerd/*.tar "$preload"/containerd/*.tar.gz; do
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
tidy system-docker
tidy containerd
echo "the images are there"
