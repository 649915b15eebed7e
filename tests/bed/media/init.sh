#!/bin/busybox sh
# shellcheck shell=dash disable=SC2094
# The early boot of a node, played: where it looks for its config and images, in the OS's order. Facts from
# rancher/os v1.5.8: pkg/init (state partition, switch of root, files that are carried over), cmd/cloudinitsave
# (datasources), images/02-bootstrap (autoformat), cmd/control/preload.go. What it finds it says on the console.
PATH=/usr/sbin:/usr/bin:/bin
export PATH
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
console=/dev/ttyS0
exec <$console >$console 2>&1
say() { echo "NODE $*"; }
# What busybox's reboot and poweroff send to the first process.
trap 'sync; say rebooting .; reboot -f' TERM
sum() { sha256sum "$1" | cut -d' ' -f1; }
labelled() { blkid | sed -n "s/^\([^:]*\):.* LABEL=\"$1\".*/\1/p" | head -n 1; }
parameter() { sed -n "s/.*$1=\[\{0,1\}\([^] ]*\).*/\1/p" /proc/cmdline; }
configs=var/lib/rancher/conf/cloud-config.d

say cmdline "$(cat /proc/cmdline)"
sleep 1

# A state partition: found, or made of an empty disk.
disk=$(parameter rancher.state.autoformat)
if [ -z "$(labelled RANCHER_STATE)" ] && [ -b "$disk" ] && [ -z "$(dd if="$disk" bs=1024 count=1024 2>/dev/null | tr -d '\000' | head -c 1)" ]; then
  mke2fs -L RANCHER_STATE "$disk" >/dev/null 2>&1
  say formatted "$disk"
fi
state=$(labelled RANCHER_STATE)
if [ -n "$state" ]; then
  mkdir -p /state
  mount -t ext4 "$state" /state
  mkdir -p /state/$configs
  # Of the initrd, this much goes on.
  [ ! -f /$configs/boot.yml ] || cp /$configs/boot.yml /state/$configs/
  say state "$state"
  root=/state
elif [ "$(parameter rancher.state.required)" = true ]; then
  say stopped "no state partition"
  poweroff -f
else
  root=/
fi

# A datasource.
source=$(parameter rancher.cloud_init.datasources)
mkdir -p "$root/$configs"
case $source in
  url:*)
    ip link set eth0 up
    udhcpc -q -i eth0 -s /bin/true >/dev/null 2>&1
    address=$(sed -n 's/.*rancher\.network\.interfaces\.[^ ]*\.address=\([^ ]*\).*/\1/p' /proc/cmdline)
    ip address add "$address" dev eth0
    wget -q -O "$root/$configs/boot.yml" "${source#url:}" && say source url
    ;;
  *)
    drive=$(labelled config-2)
    if [ -n "$drive" ]; then
      mkdir -p /media/config-2
      mount -t iso9660 -o ro "$drive" /media/config-2
      cp /media/config-2/openstack/latest/user_data "$root/$configs/boot.yml"
      say source "drive $drive"
      for image in /media/config-2/images/*.tar; do [ ! -f "$image" ] || say image "drive ${image##*/} $(sum "$image")"; done
    fi
    ;;
esac

for config in "$root/$configs"/*.yml; do [ ! -f "$config" ] || say config "${config##*/} $(stat -c %a "$config") $(sum "$config")"; done
for image in "$root"/var/lib/rancher/preload/*/*.tar; do
  if [ ! -f "$image" ] || [ -f "$image.done" ]; then continue; fi
  folder=${image%/*}
  say image "${folder##*/} ${image##*/} $(sum "$image")"
done

# The console: what the configs say it runs.
ln -sf $console /dev/console
cat "$root/$configs"/*.yml 2>/dev/null | sed -n '/^runcmd:/,$s/^ *- "\(.*\)"$/\1/p' | while read -r command; do
  sh -c "$command"
  say command "$?"
done
sync
say over .
poweroff -f
