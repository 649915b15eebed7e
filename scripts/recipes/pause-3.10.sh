# shellcheck shell=bash disable=SC2034,SC2154
# The program that holds a pod's namespaces, from Kubernetes' own tree.
# shellcheck source=scripts/recipes/today.sh
. "$recipes/today.sh"
version=3.10.2
tools="gcc strip jq"

build() {
  local kubernetes
  toolchain
  kubernetes_module 1.37.2
  now "compiling"
  "${cross}gcc" -Os -Wall -static -DVERSION="v$version" -o "$into/pause" "$kubernetes/build/pause/linux/pause.c"
  "${cross}strip" "$into/pause"
  expect "$version" "$into/pause" -v
}
