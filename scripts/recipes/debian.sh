# shellcheck shell=bash disable=SC2034,SC2154
# What the root filesystems have in common: packages of Debian 12 and all that they depend on, laid out with a merged
# /usr. Maintainer scripts are not run; what they would do and is needed is done here.
version=12
tools="apt-get apt-cache dpkg-deb"
# What packages depend on and nothing in an image uses.
unused='dpkg|debconf.*|cdebconf|perl.*|libperl.*|libgdbm.*|tar|openssl|passwd|login|adduser|init-system-helpers|sysvinit-utils|lsb-base|libpam.*|install-info|gcc-.*-base|libdebconf.*|libtextwrap.*|libnewt.*|libslang.*|systemd.*|libsystemd-shared|libsemanage.*|libsepol.*|busybox|libuuid-perl|bsdutils|logsave|libudev-dev|debianutils|libfdisk1|libaudit.*|libcap-ng0|util-linux-extra'

# debian_tree: lays out $wanted in $tree, with busybox for every command that no package has.
debian_tree() {
  local name applets depends
  tree=$work/tree
  # shellcheck disable=SC2086
  depends=$(apt_of cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $wanted |
    grep '^[a-z0-9]' | cut -d: -f1 | LC_ALL=C sort -u | grep -vxE "$unused")
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$tree/$name"; done
  # shellcheck disable=SC2086
  unpack "$tree" $depends
  now "laying out"
  rm -rf "$tree"/usr/share/{doc,man,info,locale,lintian,bash-completion,bug,doc-base,menu,pixmaps,initramfs-tools,perl5,dns} \
    "$tree"/usr/lib/{systemd,tmpfiles.d} "${tree:?}"/var/* "$tree"/usr/lib/*-linux-gnu/{gconv,perl*}
  applets=$(inside busybox --list)
  for name in $applets; do
    [ -e "$tree/usr/bin/$name" ] || [ -L "$tree/usr/bin/$name" ] || [ -e "$tree/usr/sbin/$name" ] || ln -s busybox "$tree/usr/bin/$name"
  done
  mkdir -p "$tree"/{etc/ssl/certs,root,proc,sys,dev,run,tmp,var/lib,var/log,usr/local/bin,opt,mnt}
  chmod 1777 "$tree/tmp"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
  printf 'root:x:0:\ntty:x:5:\ndisk:x:6:\n' >"$tree/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$tree/etc/nsswitch.conf"
  runs "ok" sh -c "echo ok"
}

# debian_pack: $tree becomes the component.
debian_pack() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$tree" -cf "$into/rootfs.tar" .
}

# inside COMMAND...: runs it in $tree; a program for another processor by an emulator, which can't start others.
inside() {
  local name status=0
  if [ "$arch" != amd64 ]; then
    name=usr/bin/$1
    [ -e "$tree/$name" ] || name=usr/sbin/$1
    cp "$(command -v qemu-aarch64-static)" "$tree/emulator"
    set -- /emulator "/$name" "${@:2}"
  fi
  as_root chroot "$tree" "$@" || status=$?
  rm -f "$tree/emulator"
  return "$status"
}

# runs TEXT COMMAND...: the command runs in $tree.
runs() {
  expect "$1" inside "${@:2}"
}
