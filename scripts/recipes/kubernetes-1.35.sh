# shellcheck shell=bash disable=SC2034,SC2154
# The programs of Kubernetes 1.35.
# shellcheck source=scripts/recipes/today.sh
. "$recipes/today.sh"
version=1.35.4
tools="jq"

build() {
  kubernetes_programs "$version"
}
