#!/bin/sh
# Brings image tarballs to the node, checks each against its SHA-256 and loads those for system-docker; the
# OS loads those for user Docker itself, right after this. NAME.done is the OS's own mark that a tarball was
# loaded. A failure is tried again, for ever: nothing that needs the images starts before.
# $IMAGES_FROM: a URL, or `drive` for the config drive. $ARCHIVES: ENGINE:FILE:SHA256, with blanks between them.
set -u
folder=/var/lib/rancher/preload
drive=/tmp/config-2

# The config drive is found as the OS itself finds it: by its label, or as QEMU's shared folder.
mount_drive() {
  [ ! -d "$drive/images" ] || return 0
  mkdir -p "$drive"
  device=$(blkid -L config-2 2>/dev/null) || device=$(findfs LABEL=config-2 2>/dev/null) || device=""
  if [ -n "$device" ]; then
    mount -o ro "$device" "$drive"
  else
    mount -t 9p -o ro,trans=virtio,version=9p2000.L config-2 "$drive"
  fi
}

# bring FILE TO
bring() {
  case $IMAGES_FROM in
    drive) mount_drive && cp "$drive/images/$1" "$2" ;;
    *) wget -c -O "$2" "$IMAGES_FROM/$1" ;;
  esac
}

# load ENGINE FILE SHA256
load() {
  file=$folder/$1/$2
  [ ! -e "$file.done" ] || return 0
  mkdir -p "$folder/$1"
  if [ ! -e "$file" ]; then
    echo "$2: from $IMAGES_FROM"
    bring "$2" "$file.part" || return 1
    if ! echo "$3  $file.part" | sha256sum -c >/dev/null; then
      echo "$2 is not what the config says: it is brought anew"
      rm -f "$file.part"
      return 1
    fi
    mv "$file.part" "$file"
  fi
  [ "$1" = system-docker ] || return 0
  system-docker load -i "$file" || return 1
  : >"$file.done"
  rm -f "$file"
}

for archive in $ARCHIVES; do
  engine=${archive%%:*}
  rest=${archive#*:}
  until load "$engine" "${rest%:*}" "${rest#*:}"; do
    echo "trying again in 5 seconds"
    sleep 5
  done
done
echo "the images are there"
