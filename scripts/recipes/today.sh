# shellcheck shell=bash disable=SC2034,SC2154
# What the recipes of today share: programs are built as what a main module of our own requires, so that the checksum
# database vouches for all that is compiled.

# main_module NAME: makes it in $tree; its go.mod comes from stdin.
main_module() {
  tree=$work/$1
  mkdir "$tree"
  { echo "module $1"; cat; } >"$tree/go.mod"
}

# build_required FLAG... -- PACKAGE...: builds these packages of what $tree requires, into $into.
build_required() {
  goflags=-mod=mod go_build "$GO" "$tree" -o "$into/" "$@"
}

# kubernetes_module VERSION: a main module that requires Kubernetes as its release was built. Kubernetes itself takes
# its libraries from its own tree; they are published as modules of the version 0.MINOR.PATCH.
kubernetes_module() {
  local found gomod library
  now "fetching the source of Kubernetes $1"
  found=$(cd "$work" && go_of "$GO" mod download -json "k8s.io/kubernetes@v$1") || true
  gomod=$(jq -r '.GoMod // empty' <<<"$found")
  [ -n "$gomod" ] || die "the source of Kubernetes $1 couldn't be had: $(jq -r '.Error // "no answer"' <<<"$found")" \
    "see that the Go module proxy can be reached (GOPROXY names another one), then run this again"
  kubernetes=$(jq -r .Dir <<<"$found")
  {
    grep -E '^(go|godebug) ' "$gomod"
    sed -n '/^godebug (/,/^)/p' "$gomod"
    echo "require k8s.io/kubernetes v$1"
    echo "replace ("
    sed -n 's/^[[:space:]]*\(replace \)\?\(k8s.io\/[a-z0-9-]*\) => \.\/staging.*/\2/p' "$gomod" |
      while read -r library; do echo "$library => $library v0.${1#1.}"; done
    echo ")"
    sed -n '/^require (/,/^)/p' "$gomod" | grep -v 'v0.0.0$'
  } >"$work/required"
  main_module kube <"$work/required"
}

# kubernetes_programs VERSION: a line's six.
kubernetes_programs() {
  local programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl" package program values="" minor=${1#1.}
  toolchain
  kubernetes_module "$1"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    values="$values -X $package.gitVersion=v$1 -X $package.gitMajor=1 -X $package.gitMinor=${minor%.*} -X $package.gitTreeState=archive"
    values="$values -X $package.gitCommit=unknown -X $package.buildDate=1970-01-01T00:00:00Z"
  done
  # shellcheck disable=SC2046,SC2086
  build_required -ldflags "-s -w$values" -- $(printf 'k8s.io/kubernetes/cmd/%s ' $programs)
  for program in $programs; do
    if [ "$program" = kubectl ]; then set -- "$1" version --client; else set -- "$1" --version; fi
    expect "v$1" "$into/$program" "${@:2}"
  done
}
