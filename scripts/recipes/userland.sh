# shellcheck shell=bash disable=SC2034,SC2154
# A root filesystem with the tools that the programs call.
# shellcheck source=scripts/recipes/debian.sh
. "$recipes/debian.sh"
wanted="busybox-static iptables conntrack kmod iproute2 mount util-linux e2fsprogs ebtables ethtool socat ipset ca-certificates"

build() {
  local name
  debian_tree
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-legacy-multi "$tree/usr/sbin/$name"
  done
  for name in ebtables ebtables-save ebtables-restore; do
    if [ -e "$tree/usr/sbin/ebtables-legacy" ]; then ln -sf "${name/ebtables/ebtables-legacy}" "$tree/usr/sbin/$name"; fi
  done
  cat "$tree"/usr/share/ca-certificates/*/*.crt >"$tree/etc/ssl/certs/ca-certificates.crt"
  rm -rf "$tree"/usr/share/ca-certificates
  runs "iptables v" iptables --version
  runs "ip utility" ip -V
  runs "mount from" mount --version
  runs "kmod version" modprobe --version
  runs "conntrack v" conntrack --version
  runs "socat version" socat -V
  runs "nsenter from" nsenter --version
  debian_pack
}
