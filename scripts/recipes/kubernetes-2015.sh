# shellcheck shell=bash disable=SC2034,SC2154
# Kubernetes of 2015, for tests: 0.15.0.
# shellcheck source=scripts/recipes/old.sh
. "$recipes/old.sh"
version=0.15.0
tools="gcc"
programs="kube-apiserver kube-controller-manager kube-proxy kubectl"

build() {
  local path=github.com/GoogleCloudPlatform/kubernetes file files flags program
  old_source $path "v$version"
  # What a Go of today doesn't take: an import through `vendor`, a method that two embedded types have, and in cAdvisor,
  # the kubelet's part that wants cgo, names that mean something now.
  files=$(grep -rl docker/vendor/src --include='*.go' "$tree/Godeps")
  # shellcheck disable=SC2086
  sed -i 's|"github.com/docker/docker/vendor/src/code.google.com/p/go/src/pkg/archive/tar"|"archive/tar"|' $files
  sed -i 's/^func NewAssetDirectory/func (f *AssetFile) Size() int64 { return f.FakeFile.Size() }\n\n&/' \
    "$tree/Godeps/_workspace/src/github.com/elazarl/go-bindata-assetfs/assetfs.go"
  for file in "$tree"/Godeps/_workspace/src/github.com/google/cadvisor/pages/static/*_js.go; do mv "$file" "${file%_js.go}_script.go"; done
  sed -i 's/_Ctype_ulonglong/C.ulonglong/' "$tree/Godeps/_workspace/src/github.com/google/cadvisor/fs/fs.go"
  flags="-s -w -extldflags -static -X $path/pkg/version.gitVersion=v$version"
  # shellcheck disable=SC2046,SC2086
  old_go -ldflags "$flags" -o "$into/" -- $(printf './cmd/%s ' $programs) ./plugin/cmd/kube-scheduler
  cgo=1 old_go -ldflags "$flags" -o "$into/" -- ./cmd/kubelet
  for program in $programs kube-scheduler kubelet; do
    if [ "$program" = kubectl ]; then set -- version --client; else set -- --version; fi
    expect "v$version" "$into/$program" "$@"
  done
}
