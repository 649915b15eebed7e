# shellcheck shell=bash disable=SC2034,SC2154
# What recipes call. A recipe runs in a process of its own, with its output in its log, and with
#   $work   a folder that goes away with it
#   $into   where its result belongs
#   $cache  what is kept: the toolchain, Go's module and build caches, sources
#   $arch   the processor of the nodes, as Go and Debian call it
# This machine is amd64.

# The Go that builds everything of today, on every machine alike. Debian's fetches it through the module proxy, and
# checks it by the checksum database.
readonly GO_VERSION=1.26.8
GO=$cache/go/pkg/mod/golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-amd64
# Debian's own. It also builds what a newer Go doesn't: Kubernetes 1.20 and the programs of 2015.
readonly OLD_GO=/usr/lib/go-1.19
# What the names of the compiler's programs begin with.
if [ "$arch" = amd64 ]; then cross=""; else cross=aarch64-linux-gnu-; fi

# die WHAT HELP: ends the recipe; what went wrong and what to do.
die() {
  printf '%s\nhelp: %s\n' "$1" "$2" >"$work/error"
  exit 1
}

# now TEXT: what the recipe does from here on, for the lines that say how far it is.
now() {
  printf '%s\n' "$1" >"$work/now"
  printf '\n== %s\n' "$1"
}

# go_of GOROOT ARGUMENT...: that Go, with nothing of the machine's own settings but proxies and mirrors.
go_of() {
  local goroot=$1
  shift
  # The compiler would rather clean up than grow: with more room it takes a fifth less time.
  env -u GOROOT -u GOBIN -u GOEXPERIMENT -u GOOS -u GOAMD64 GOENV=off GOTOOLCHAIN=local GOFLAGS="${goflags-}" \
    GOPATH="${gopath:-$cache/go}" GOCACHE="$cache/go-build" GO111MODULE="${go111module:-on}" CGO_ENABLED="${cgo:-0}" GOGC=400 \
    GOARCH="$arch" CC="${cross}gcc" \
    PATH="$goroot/bin:$PATH" "$goroot/bin/go" "$@"
}

# download MODULE@VERSION GOROOT: into the module cache, checked by the checksum database; the folder is in $dir.
download() {
  local found
  found=$(cd "$work" && go_of "$2" mod download -json "$1") || true
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")
  [ -n "$dir" ] || die "the source of $1 couldn't be had: $(sed -n 's/^\t"Error": "\(.*\)".*/\1/p' <<<"$found")" \
    "see that the Go module proxy can be reached (GOPROXY names another one), then run this again"
}

# module MODULE@VERSION DIR: a copy of its source that may be changed.
module() {
  local dir
  download "$1" "$GO"
  cp -r --no-preserve=mode "$dir" "$2"
}

# The pinned Go, fetched once; what it is in is named by $GO.
toolchain() {
  now "waiting for Go $GO_VERSION"
  exec 8>"$cache/toolchain.lock"
  flock 8
  if [ ! -e "$GO.whole" ]; then
    now "fetching Go $GO_VERSION"
    download "golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-amd64" "$OLD_GO"
    # A module's files have no run bit.
    chmod +x "$GO"/bin/* "$GO"/pkg/tool/*/*
    touch "$GO.whole"
  fi
  exec 8>&-
}

# go_build GOROOT TREE FLAG... -- PACKAGE...: `go build` in that folder. How many packages are compiled says how far it is.
go_build() {
  local goroot=$1 tree=$2 flags=()
  shift 2
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  set -- "${flags[@]}" "$@"
  now "compiling"
  (cd "$tree" && go_of "$goroot" list -deps "${@:$((${#flags[@]} + 1))}") | wc -l >"$work/packages"
  if [ -n "$begin" ]; then
    (cd "$tree" && go_of "$goroot" build -v -trimpath "$@") 2>"$work/compiled" &
    until [ -s "$work/compiled" ] || ! kill -0 $! 2>/dev/null; do sleep 0.1; done
    grep -q '^[^ ]*$' "$work/compiled" || die "nothing was compiled: $(head -n 5 "$work/compiled")" "see this log"
    exit 0
  fi
  (cd "$tree" && go_of "$goroot" build -v -trimpath "$@") 2> >(tee "$work/compiled" >&2)
  rm "$work/packages" "$work/compiled"
}

# runc VERSION DIR: static, and with seccomp: without that, no pod's sandbox starts.
runc() {
  module "github.com/opencontainers/runc@v$1" "$work/runc"
  unpack "$work/sysroot" libseccomp-dev
  export PKG_CONFIG_SYSROOT_DIR=$work/sysroot PKG_CONFIG_LIBDIR
  PKG_CONFIG_LIBDIR=$(echo "$work"/sysroot/usr/lib/*-linux-gnu/pkgconfig)
  cgo=1 goflags=-mod=mod go_build "$GO" "$work/runc" -tags "netgo osusergo seccomp" \
    -ldflags "-s -w -X main.version=$1 -extldflags -static" -o "$2/runc" -- .
  expect "$1" "$2/runc" --version
  expect "libseccomp" "$2/runc" --version
}

# apt_of get|cache ARGUMENT...: apt for the nodes' processor, with lists of its own if it isn't this machine's.
apt_of() {
  local program=apt-$1 own=$cache/apt-$arch
  shift
  if [ "$arch" != amd64 ]; then
    mkdir -p "$own/lists/partial" "$own/archives/partial"
    : >>"$own/status"
    set -- -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::Lists="$own/lists" -o Dir::State::Status="$own/status" \
      -o Dir::Cache="$own" -o Dir::Cache::Archives="$own/archives" -o APT::Sandbox::User=root "$@"
  fi
  "$program" "$@"
}

# unpack DIR PACKAGE...: Debian packages of this release, without installing them.
unpack() {
  local into=$1 debs=$work/debs deb
  shift
  mkdir -p "$debs" "$into"
  now "fetching $# Debian packages"
  (cd "$debs" && apt_of get download "$@") || die "Debian's packages couldn't be fetched" \
    "see that apt-get can reach its servers (\`apt-get update\`), then run this again"
  for deb in "$debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" >"$work/deb.tar"
    tar -x -f "$work/deb.tar" -C "$into" --keep-directory-symlink --no-same-owner
  done
  rm -r "$debs" "$work/deb.tar"
}

# expect TEXT COMMAND...: what was built runs, and says its version; by an emulator if it is for another processor.
expect() {
  local wanted=$1 says
  shift
  if [ "$arch" != amd64 ] && [[ $1 == "$into"/* ]]; then set -- qemu-aarch64-static "$@"; fi
  says=$("$@" 2>&1) || true
  [[ $says == *"$wanted"* ]] || die "\`$*\` says no $wanted but: $(head -n 3 <<<"$says")" \
    "the recipe made something else than it should: report it with this log"
}

# as_root COMMAND...
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Kubernetes 1.20's source tree, from Debian's source package; the path is in $source. Two recipes use it.
kubernetes_source() {
  source=$cache/source-$1
  now "waiting for the source of Kubernetes $1"
  exec 8>"$source.lock"
  flock 8
  if [ ! -d "$source" ]; then
    now "fetching the source of Kubernetes $1"
    local lists=$work/apt codename file
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mkdir -p "$lists/lists/partial" "$work/source"
    # The machine's own servers of this release, asked for source packages.
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
      [ -f "$file" ] || continue
      case $file in
        *.sources) awk -v RS= -v ORS='\n\n' -v code="$codename" '$0 ~ "Suites:[^\n]*" code {sub(/Types:[^\n]*/, "Types: deb-src"); print}' "$file" >>"$lists/own.sources" ;;
        *) sed -n "s/^deb \(.* $codename .*\)/deb-src \1/p" "$file" >>"$lists/own.list" ;;
      esac
    done
    local apt=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$lists" -o Dir::State::Lists="$lists/lists" -o APT::Sandbox::User=root)
    { apt-get "${apt[@]}" update && (cd "$work/source" && apt-get "${apt[@]}" source --download-only kubernetes); } ||
      die "Debian's source package \`kubernetes\` couldn't be fetched" \
        "see that apt-get can reach its servers, and that /etc/apt names those of Debian $codename, then run this again"
    local packages=("$work"/source/kubernetes_*"$1"-*.dsc)
    [ -f "${packages[0]}" ] || die "Debian $codename has another Kubernetes than $1" "this wants Debian 12 (bookworm)"
    dpkg-source --no-check -x "${packages[0]}" "$work/source/tree"
    mv "$work/source/tree" "$source"
  fi
  exec 8>&-
}
