# shellcheck shell=bash disable=SC2034,SC2154
# flannel on etcd's v2 API, for tests: the first that the module proxy has, without all that no line uses. Nodes get
# 0.4, the line's.
version=0.12.0
tools=""

build() {
  local path=github.com/coreos/flannel tree=$work/flannel
  toolchain
  module "$path@v$version" "$tree"
  sed -i -E '/backend\/(alivpc|awsvpc|extension|gce|ipip|ipsec|udp)"/d; /subnet\/kube"/d
    s/return kube.NewSubnetManager.*/return nil, errors.New("left out")/' "$tree/main.go"
  printf '%s\n' "module $path" "go 1.19" "require (" \
    "github.com/coreos/etcd v3.3.27+incompatible" "github.com/coreos/go-iptables v0.5.0" "github.com/coreos/go-semver v0.3.1" \
    "github.com/coreos/go-systemd v0.0.0-20190321100706-95778dfbb74e" "github.com/coreos/pkg v0.0.0-20180928190104-399ea9e2e55f" \
    "github.com/golang/glog v1.2.5" "github.com/joho/godotenv v1.3.0" "github.com/jonboulle/clockwork v0.5.0" \
    "github.com/json-iterator/go v1.1.12" "github.com/modern-go/reflect2 v1.0.2" "github.com/vishvananda/netlink v1.3.1" \
    "golang.org/x/net v0.62.0" "golang.org/x/sys v0.49.0" ")" >"$tree/go.mod"
  goflags=-mod=mod go_build "$GO" "$tree" -ldflags "-s -w -X $path/version.Version=$version" -o "$into/flanneld" -- .
  expect "$version" "$into/flanneld" --version
}
