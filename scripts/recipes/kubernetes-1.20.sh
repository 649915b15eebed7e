# shellcheck shell=bash disable=SC2034,SC2154
# The programs of Kubernetes 1.20, from Debian's source package, built as a GOPATH: its vendor folder is all that they
# need. `providerless` leaves out the libraries of six clouds, which a node of one's own has no use for.
version=1.20.2
tools="apt-get dpkg-source"
programs="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"

build() {
  local path=k8s.io/kubernetes tree=$work/go/src/k8s.io/kubernetes folder program values=""
  toolchain
  module github.com/modern-go/reflect2@v1.0.2 "$work/reflect2"
  kubernetes_source "$version"
  local gopath=$work/go go111module=off
  mkdir -p "$gopath/src/k8s.io"
  cp -a "$source" "$tree"
  # The vendored reflect2 1.0.1 walks maps as Go did before 1.18: built with a newer Go, kube-apiserver dies when it
  # encodes one as JSON (a secret, say). 1.0.2 mended that and nothing else.
  rm "$tree"/vendor/github.com/modern-go/reflect2/*.{go,s}
  cp "$work"/reflect2/*.{go,s} "$tree/vendor/github.com/modern-go/reflect2/"
  generate_openapi
  for folder in client-go/pkg component-base; do
    values="$values -X $path/vendor/k8s.io/$folder/version.gitVersion=v$version -X $path/vendor/k8s.io/$folder/version.gitMajor=1"
    values="$values -X $path/vendor/k8s.io/$folder/version.gitMinor=20 -X $path/vendor/k8s.io/$folder/version.gitTreeState=archive"
  done
  # shellcheck disable=SC2046,SC2086
  goflags=-tags=providerless go_build "$OLD_GO" "$tree" -ldflags "-s -w$values" -o "$into/" -- $(printf './cmd/%s ' $programs)
  for program in $programs; do
    if [ "$program" = kubectl ]; then set -- version --client; else set -- --version; fi
    expect "v$version" "$into/$program" "$@"
  done
}

# The one generated file that the source package leaves out. Its Makefile makes it in the same way, among much else.
generate_openapi() {
  local packages
  now "generating the API's definitions"
  (cd "$tree" && go_of "$OLD_GO" build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen)
  packages=$(cd "$tree" && grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin staging/src/k8s.io |
    sed -E "s,^staging/src,vendor,; s,/[^/]*$,,; s,^,$path/," | LC_ALL=C sort -u | grep -vE '/vendor/k8s.io/(code-generator|sample-apiserver)/' | paste -sd,)
  (cd "$tree" && env -u GOROOT PATH="$OLD_GO/bin:$PATH" GOPATH="$gopath" GO111MODULE=off GOFLAGS= GOENV=off GOCACHE="$cache/go-build" \
    "$work/openapi-gen" --logtostderr -i "$packages" -p "$path/pkg/generated/openapi" -O zz_generated.openapi \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations")
  cmp "$work/violations" "$tree/api/api-rules/violation_exceptions.list"
}
