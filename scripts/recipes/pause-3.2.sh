# shellcheck shell=bash disable=SC2034,SC2154
# The program that holds a pod's namespaces, from Kubernetes' own tree.
version=3.2
tools="gcc strip apt-get dpkg-source"

build() {
  kubernetes_source 1.20.2
  now "compiling"
  gcc -Os -Wall -static -DVERSION="v$version" -o "$into/pause" "$source/build/pause/linux/pause.c"
  strip "$into/pause"
  expect "$version" "$into/pause" -v
}
