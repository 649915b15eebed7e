# shellcheck shell=bash disable=SC2034,SC2154
# flannel without the backends that no line uses: one for a cloud, whose library the module proxy no longer has, and
# `udp`, which needs cgo (the result is static).
version=0.28.9
tools="jq"

build() {
  local tree=$work/flannel dropped
  toolchain
  module "github.com/flannel-io/flannel@v$version" "$tree"
  sed -i -E '/backend\/(tencentvpc|udp)"/d' "$tree/main.go"
  dropped=$(cd "$tree" && go_of "$GO" mod edit -json | jq -r '.Require[].Path | select(test("tencentcloud")) | "-droprequire=" + .')
  # shellcheck disable=SC2086
  (cd "$tree" && go_of "$GO" mod edit $dropped)
  goflags=-mod=mod go_build "$GO" "$tree" -ldflags "-s -w -X github.com/flannel-io/flannel/pkg/version.Version=v$version" -o "$into/flanneld" -- .
  expect "v$version" "$into/flanneld" --version
}
