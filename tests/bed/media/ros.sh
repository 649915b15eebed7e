#!/bin/busybox sh
# shellcheck shell=dash
# `ros install -t generic`, played (rancher/os v1.5.8, cmd/control/install.go): one partition, labelled, with the
# config as user_config.yml. No boot loader: the machine is started with a kernel from outside.
set -eu
config="" disk="" append="" type="" flags=""
[ "$1" = install ]
shift
while [ $# -gt 0 ]; do
  case $1 in
    --force | --no-reboot) flags="$flags $1"; shift ;;
    -t) type=$2; shift 2 ;;
    -d) disk=$2; shift 2 ;;
    -c) config=$2; shift 2 ;;
    --append) append=$2; shift 2 ;;
    *) echo "ros: what is $1?"; exit 1 ;;
  esac
done
[ "$type" = generic ] && [ "$flags" = " --force --no-reboot" ]
if [ ! -e /dev/sr0 ] && ! blkid | grep -q ' LABEL="\(RancherOS\|RANCHEROS\)"'; then
  echo "ros: There is no boot iso drive, terminate the task"
  exit 1
fi
echo "NODE installing $disk append=$append"
printf 'o\nn\np\n1\n\n\na\n1\nw\n' | fdisk "$disk" >/dev/null 2>&1
sleep 1
mke2fs -L RANCHER_STATE "${disk}1" >/dev/null 2>&1
mkdir -p /mnt/new_img
mount -t ext4 "${disk}1" /mnt/new_img
mkdir -p /mnt/new_img/var/lib/rancher/conf/cloud-config.d
cp "$config" /mnt/new_img/var/lib/rancher/conf/cloud-config.d/user_config.yml
umount /mnt/new_img
