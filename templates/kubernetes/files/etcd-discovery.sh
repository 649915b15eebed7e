#!/bin/sh
# etcd-discovery.sh PROGRAM ARGUMENT...: starts this member of etcd, whose first start goes through the
# discovery service: the first $SIZE nodes that come to $TOKEN are etcd. A node that comes later is a client.
#
# A token is for one cluster, once. Where an earlier cluster used it, this node waits and says so: two
# clusters that hold each other for one lose data. $DATA/discovery is the mark of a token that this node
# itself came to, so that a start that was cut short goes on.
set -u
DATA=/var/lib/etcd

# NAME=URL of each member, in the order in which they came.
registered() {
  answer=$(wget -q -O - "$TOKEN") || return 1
  case $answer in
    *'"dir":true'*) ;;
    *) return 1 ;;
  esac
  echo "$answer" | tr '{' '\n' | sed -n 's/.*"value":"\([^"]*\)".*"createdIndex":\([0-9]*\).*/\2 \1/p' |
    sort -n | head -n "$SIZE" | cut -d' ' -f2
}

# The members that are named by NAME=URL, as etcd's clients find them.
endpoints() {
  echo "$1" | sed 's/[^=]*=\(.*\):2380/\1:2379/' | tr '\n' ',' | sed 's/,$//'
}

say() {
  [ "$1" = "${said:-}" ] || echo "$1"
  said=$1
}

mend="On the machine with the profile: \
remuda discovery new PROFILE && remuda gen PROFILE; then boot the nodes with their new configs"
used="the token $TOKEN was used by an earlier cluster. $mend"

# A member has its log; the folder above is there before.
if [ -d "$DATA/member/wal" ]; then
  exec "$@"
fi
while true; do
  if ! members=$(registered); then
    case $(wget -q -O /dev/null "$TOKEN" 2>&1) in
      *" 404"*) say "the discovery service doesn't know the token $TOKEN. $mend" ;;
      *) say "waiting for an answer about the token $TOKEN" ;;
    esac
    sleep 5
    continue
  fi
  count=$(echo "$members" | grep -c .)
  mine=$(echo "$members" | grep "^$NAME=")
  is_marked=false
  [ "$(cat "$DATA/discovery" 2>/dev/null)" != "$TOKEN" ] || is_marked=true
  if [ -n "$mine" ] && ! $is_marked; then
    say "$used"
  elif [ -n "$mine" ] && [ "$count" -lt "$SIZE" ]; then
    say "waiting for $((SIZE - count)) more of $SIZE members"
  elif [ -n "$mine" ]; then
    cluster=$(echo "$members" | tr '\n' ',')
    exec "$@" "--initial-cluster=${cluster%,}" --initial-cluster-state=new "--initial-cluster-token=$TOKEN"
  elif [ "$count" -ge "$SIZE" ]; then
    if etcdctl --endpoints="$(endpoints "$members")" --command-timeout=5s endpoint health >/dev/null 2>&1; then
      say "etcd has its $SIZE members: this node is a client"
    else
      say "etcd has $SIZE members and none of them answers. If they aren't just off: $used"
    fi
  else
    echo "$TOKEN" >"$DATA/discovery"
    exec "$@" "--discovery=$TOKEN" --discovery-fallback=exit
  fi
  sleep 2
done
