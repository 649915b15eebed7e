#!/bin/sh
# Installs @NODE@ on @DISK@, once. Made by remuda.
own=/@OWN@
say() { echo "remuda: $*"; echo "remuda: $*" >/dev/console; }
fail() { say "@NODE@ is not installed: $*"; exit 1; }
# Half installed is not installed: without a partition table the next boot tries it again.
undo() { umount /mnt/remuda-state; dd if=/dev/zero of=@DISK@ bs=1M count=1; sync; fail "$*"; }
labelled() { blkid | sed -n "s/^\([^:]*\):.* LABEL=\"$1\".*/\1/p" | head -n 1; }

if [ -n "$(labelled RANCHER_STATE)" ]; then
  say "$(labelled RANCHER_STATE) is labelled RANCHER_STATE: this machine is installed, and left as it is"
  exit 0
fi
[ -b @DISK@ ] || fail "there is no disk @DISK@"
say "installing @NODE@ on @DISK@"
# Booted from the network there may be no CD drive, and without its device `ros install` stops at once. It takes an
# empty file for a drive without a disc, and pulls the OS's image.
[ -e /dev/sr0 ] || : >/dev/sr0
ros install --force --no-reboot -t generic -d @DISK@ -c $own/cloud-config.yml@APPEND@ || fail "ros install failed"
state=$(labelled RANCHER_STATE)
[ -n "$state" ] || fail "ros install made no partition labelled RANCHER_STATE"
mkdir -p /mnt/remuda-state /mnt/remuda-iso
mount "$state" /mnt/remuda-state || fail "$state can't be mounted"

iso="@LABEL@"
if [ -n "$iso" ]; then
  mount -o ro "$(labelled "$iso")" /mnt/remuda-iso || undo "the ISO can't be mounted"
fi
put() {
  folder=/mnt/remuda-state/var/lib/rancher/preload/$1
  from=/var/lib/rancher/preload/$1
  [ -z "$iso" ] || from=/mnt/remuda-iso/images
  mkdir -p "$folder"
  say "copying $2"
  cp "$from/$2" "$folder/$2.part" || undo "$2 can't be copied"
  echo "$3  $folder/$2.part" | sha256sum -c - >/dev/null || undo "$2 is not what was packed"
  mv "$folder/$2.part" "$folder/$2"
}
@TARBALLS@
sync
umount /mnt/remuda-state || fail "$state can't be unmounted"
say "@NODE@ is installed; rebooting"
reboot
