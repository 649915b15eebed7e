# shellcheck shell=bash disable=SC2034,SC2154
# The add-on ingress: Traefik without its dashboard's pages, which are built with other tools, and without the DNS
# challenges of clouds, whose libraries the module proxy doesn't all have.
version=3.7.13
tools=""

build() {
  local tree=$work/traefik path=github.com/traefik/traefik ext=pkg/config/dynamic/ext acme=pkg/provider/acme/provider.go
  toolchain
  module "$path/v3@v$version" "$tree"
  # A module in its tree that is in no module that is published: fields that others add.
  mkdir "$tree/$ext"
  echo "module $path/dynamic/ext" >"$tree/$ext/go.mod"
  printf 'package ext\n\ntype HTTP struct{}\n\ntype Router struct{}\n' >"$tree/$ext/ext.go"
  # The proxy hasn't got the commit that it names of its fork, for middlewares that only its own resources can ask for.
  (cd "$tree" && go_of "$GO" mod edit -replace "github.com/abbot/go-http-auth=github.com/containous/go-http-auth@v0.4.1-0.20200324110947-a37a7636d23e")
  sed -i -e '/lego\/v5\/providers\/dns"$/d' \
    -e 's/dns\.NewDNSChallengeProviderByName(.*)$/nil, errors.New("there are no DNS challenges in this Traefik")/' "$tree/$acme"
  goflags=-mod=mod go_build "$GO" "$tree" -ldflags "-s -w -X $path/v3/pkg/version.Version=$version" -o "$into/traefik" -- ./cmd/traefik
  expect "$version" "$into/traefik" version
}
