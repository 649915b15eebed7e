#!/bin/sh
# containerd.sh PROGRAM ARGUMENT...: starts containerd on this machine. $MIRROR: where images of docker.io are asked for
# first; $MIRRORS: the same for other registries, as HOST=URL; $INSECURE: registries with plain HTTP or a certificate that
# nobody knows; with blanks between. $SHARES: set if pods may share their mounts with other pods. Not set where there are
# none. /opt/kubernetes/registry-login: a registry, and the user and password there, a line each.
# /etc/docker/certs.d/HOST/ca.crt, as Docker has it too: who vouches for that registry.
set -eu
registries=/run/kubernetes/registries
rm -rf "$registries" /run/kubernetes/containerd.d
mkdir -p "$registries" /run/kubernetes/containerd.d /run/kubernetes/cni

# Network plugins mount file systems such as /sys/fs/bpf for other pods (`mountPropagation: Bidirectional`). Of the OS's
# own mounts only the root is shared.
[ -z "${SHARES-}" ] || mount --make-rshared /

# Where root may not protect a process from the kernel's OOM killer (a node that is a container), no pod would start.
if ! sh -c 'echo -998 >/proc/self/oom_score_adj' 2>/dev/null; then
  printf 'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n  restrict_oom_score_adj = true\n' >/run/kubernetes/containerd.d/oom.toml
fi

is_insecure() {
  case " ${INSECURE-} " in
    *" $1 "*) ;;
    *) return 1 ;;
  esac
}

# server URL: a place to pull from, as hosts.toml has it.
server() {
  printf '[host."%s"]\n  capabilities = ["pull", "resolve"]\n' "$1"
  host=${1#*://}
  case $host in
    # It is where the registry's API begins, instead of /v2.
    */*) echo '  override_path = true' ;;
  esac
  host=${host%%/*}
  ! is_insecure "$host" || echo '  skip_verify = true'
  [ ! -e "/etc/docker/certs.d/$host/ca.crt" ] || printf '  ca = "/etc/docker/certs.d/%s/ca.crt"\n' "$host"
  [ "$host" != "$account" ] || printf '  [host."%s".header]\n    authorization = "Basic %s"\n' "$1" "$(printf %s "$user:$password" | base64 | tr -d '\n')"
}

# registry HOST [MIRROR]: how its images are pulled. As Docker does: TLS first, and where it may be without, plain HTTP if
# nothing answers.
registry() {
  mkdir -p "$registries/$1"
  {
    [ "$1" != docker.io ] || echo 'server = "https://registry-1.docker.io"'
    [ -z "${2-}" ] || server "${2%/}"
    [ "$1" = docker.io ] || server "https://$1"
    ! is_insecure "$1" || server "http://$1"
  } >"$registries/$1/hosts.toml"
}

# There may be a password in the files.
(
  umask 077
  account=""
  if [ -e /opt/kubernetes/registry-login ]; then
    { read -r account && read -r user && read -r password; } </opt/kubernetes/registry-login
  fi
  for host in $account ${INSECURE-}; do registry "$host"; done
  for file in /etc/docker/certs.d/*/ca.crt; do
    host=${file%/ca.crt}
    [ ! -e "$file" ] || registry "${host##*/}"
  done
  [ -z "${MIRROR-}" ] || registry docker.io "$MIRROR"
  for mirror in ${MIRRORS-}; do registry "${mirror%%=*}" "${mirror#*=}"; done
)
exec "$@"
