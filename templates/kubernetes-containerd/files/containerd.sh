#!/bin/sh
# containerd.sh PROGRAM ARGUMENT...: starts containerd on this machine. $MIRROR: where images of docker.io are asked for
# first; $INSECURE: registries with plain HTTP or a certificate that nobody knows, with blanks between; $SHARES: set if pods
# may share their mounts with other pods. Not set where there are none. /opt/kubernetes/registry-login: a registry, and the
# user and password there, a line each.
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
  host=${host%%/*}
  ! is_insecure "$host" || echo '  skip_verify = true'
  [ "$host" != "$account" ] || printf '  [host."%s".header]\n    authorization = "Basic %s"\n' "$1" "$(printf %s "$user:$password" | base64 | tr -d '\n')"
}

account=""
if [ -e /opt/kubernetes/registry-login ]; then
  { read -r account && read -r user && read -r password; } </opt/kubernetes/registry-login
fi
for host in $account ${INSECURE-}; do
  mkdir -p "$registries/$host"
  # As Docker does: TLS first, and where it may be without, plain HTTP if nothing answers.
  (umask 077 && { server "https://$host" && { ! is_insecure "$host" || server "http://$host"; }; } >"$registries/$host/hosts.toml")
done
if [ -n "${MIRROR-}" ]; then
  mkdir -p "$registries/docker.io"
  { echo 'server = "https://registry-1.docker.io"' && server "$MIRROR"; } >"$registries/docker.io/hosts.toml"
fi
exec "$@"
