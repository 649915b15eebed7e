#!/usr/bin/env bash
# The first process of the virtual machine: mounts what Debian mounts, brings the cluster up, looks at it, takes it down.
# The kernel's arguments `remuda` and `components` are in the environment.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# Whatever happens: without its first process a kernel panics.
trap 'sync; echo o >/proc/sysrq-trigger; sleep 60' EXIT

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
for folder in /dev/shm /run /tmp; do mount -t tmpfs tmpfs "$folder"; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t hostfs -o "${components:?}" hostfs /components
mount -t hostfs -o "$(dirname "${remuda:?}")" hostfs /host
ip link set lo up
hostname here
depmod -a
# A Debian with firewalls has loaded them.
modprobe -a overlay bridge br_netfilter veth vxlan ip_tables iptable_nat iptable_filter iptable_mangle \
  xt_conntrack xt_comment xt_mark xt_statistic xt_MASQUERADE xt_nat xt_addrtype xt_multiport xt_tcpudp xt_nfacct
echo "kernel $(uname -r), cgroup v2 with $(cat /sys/fs/cgroup/cgroup.controllers)"

cp "/host/$(basename "$remuda")" /usr/bin/remuda
cd /root || exit
mkfifo /run/enter
remuda try /one.yaml --components /components --wait 3000 </run/enter >/run/said 2>&1 &
try=$!
exec 9>/run/enter
while kill -0 "$try" 2>/dev/null && ! grep -q "Enter takes it down" /run/said; do sleep 2; done
works=false
if grep -q "Enter takes it down" /run/said; then
  grep "Ready:" /run/said
  read -ra kubectl <<<"$(sed -n 's/^ *\(nsenter --net.*\) get nodes$/\1/p' /run/said)"
  # Its pod is ready once it has asked the API server at the service's address: the pods' network and kube-proxy's rules.
  for _ in $(seq 60); do
    "${kubectl[@]}" --namespace kube-system wait --for=condition=Ready pod --selector k8s-app=kube-dns --timeout=60s && works=true && break
    sleep 10
  done
  "${kubectl[@]}" get pods --all-namespaces --output wide
fi
echo >&9
wait "$try"
status=$?
left=$(
  find /sys/fs/cgroup /var/tmp -mindepth 1 -type d
  ip netns list
  grep remuda-try /proc/self/mounts
  pgrep -l '^(containerd|dockerd|kube)' 2>/dev/null
)
if $works && [ "$status" -eq 0 ] && [ -z "$left" ]; then
  echo "the cluster works, and nothing is left"
else
  cat /run/said
  echo "works: $works; exit status $status; left: $left"
  tail -n 5 remuda-try-logs/m/*.log
fi
