# shellcheck shell=bash disable=SC2034,SC2154
# What the recipes of 2015 share: trees from before there were Go modules, which have in them what they need.

# old_source PATH VERSION: such a tree, in $tree.
old_source() {
  tree=$work/go/src/$1
  mkdir -p "${tree%/*}"
  toolchain
  now "fetching the source of $1"
  module "$1@$2" "$tree"
}

# old_go ARGUMENT...: builds in $tree as it was done then, and with a Go that takes ADDRESS:PORT for a URL as that of
# 2015 did.
old_go() {
  local url=$OLD_GO/src/net/url/url.go
  sed 's/strings.Contains(segment, ":")/segment == "\\x00"/' "$url" >"$work/url.go"
  ! cmp -s "$url" "$work/url.go" || die "Go's net/url isn't the one that this recipe changes" "install Debian's golang-1.19-go of Debian 12"
  echo "{\"Replace\": {\"$url\": \"$work/url.go\"}}" >"$work/overlay"
  gopath="$work/go:$tree/Godeps/_workspace" go111module=off go_build "$OLD_GO" "$tree" -overlay "$work/overlay" "$@"
}
