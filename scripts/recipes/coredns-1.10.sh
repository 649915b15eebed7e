# shellcheck shell=bash disable=SC2034,SC2154
# CoreDNS for Kubernetes 1.20: the last minor that reads `discovery.k8s.io/v1beta1`, built as today's is.
# shellcheck source=scripts/recipes/coredns.sh
. "$recipes/coredns.sh"
version=1.10.1

# The assume-no-moving-gc that it names stops the program where Go is newer than 1.19; its last version never does.
prepare() {
  (cd "$work/coredns" && go_of "$GO" mod edit -require go4.org/unsafe/assume-no-moving-gc@v0.0.0-20231121144256-b99613f794b6)
}
