# shellcheck shell=bash disable=SC2034,SC2154
# A root filesystem with what keeps the API reachable: haproxy, and keepalived for an address that moves.
# shellcheck source=scripts/recipes/debian.sh
. "$recipes/debian.sh"
wanted="busybox-static haproxy keepalived iproute2 curl"
# keepalived is linked with net-snmp, and that one with Perl.
unused=${unused/libperl.\*|/}

build() {
  debian_tree
  runs "HAProxy version" haproxy -v
  runs "Keepalived v" keepalived --version
  runs "ip utility" ip -V
  runs "curl 7" curl --version
  debian_pack
}
