# shellcheck shell=bash disable=SC2034,SC2154
# What judges a cluster: Kubernetes' own end-to-end tests, the runner of theirs, and the programs of the images that the
# conformance tests use, with a root filesystem for them.
# shellcheck source=scripts/recipes/today.sh
. "$recipes/today.sh"
# shellcheck source=scripts/recipes/debian.sh
. "$recipes/debian.sh"
version=1.37.2
tools="$tools jq"
wanted="busybox-static bash curl bind9-dnsutils netcat-openbsd iproute2 socat iperf libc-bin util-linux nginx-light"

build() {
  local name images=k8s.io/kubernetes/test/images is="-X k8s.io/component-base/version"
  toolchain
  kubernetes_module "$version"
  build_required -ldflags "-s -w" -- $images/agnhost $images/nonewprivs github.com/onsi/ginkgo/v2/ginkgo
  now "compiling the tests"
  (cd "$tree" && goflags=-mod=mod go_of "$GO" test -c -vet=off -trimpath \
    -ldflags "-s -w $is.gitVersion=v$version $is.gitMajor=1 $is.gitMinor=37" -o "$into/e2e.test" k8s.io/kubernetes/test/e2e)
  module k8s.io/sample-apiserver@v0.29.2 "$work/sample-apiserver"
  goflags=-mod=mod go_build "$GO" "$work/sample-apiserver" -ldflags "-s -w" -o "$into/" -- .
  for name in kitten nautilus; do cp -r --no-preserve=mode "$kubernetes/test/images/$name/html" "$into/$name"; done
  debian_tree
  # What these packages' scripts and the tests' images add.
  printf 'www-data:x:33:33::/var/www:/bin/sh\nuser-defined-in-image:x:1000:1000::/home:/bin/sh\n' >>"$tree/etc/passwd"
  printf 'www-data:x:33:\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n' >>"$tree/etc/group"
  mkdir -p "$tree"/var/{log,lib}/nginx "$tree"/var/www/html "$tree"/etc/nginx/sites-enabled "$tree"/uploads
  echo 'Welcome to nginx!' >"$tree/var/www/html/index.html"
  ln -sf ../sites-available/default "$tree/etc/nginx/sites-enabled/default"
  # A package's script would choose this nc. busybox as a shell runs its own commands in place of the packages'.
  ln -sf nc.openbsd "$tree/usr/bin/nc"
  ln -sf bash "$tree/usr/bin/sh"
  ln -s agnhost "$tree/agnhost-2"
  cp "$kubernetes"/test/images/agnhost/porter/localhost.{crt,key} "$tree/"
  runs "DiG" dig -v
  runs "root" getent passwd root
  runs "nginx version" nginx -v
  runs "curl" curl --version
  runs "OpenBSD netcat" sh -c "nc -h"
  debian_pack
  expect "test-webserver" "$into/agnhost" --help
}
