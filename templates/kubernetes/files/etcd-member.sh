#!/bin/sh
# etcd-member.sh PROGRAM ARGUMENT...: starts this member of etcd as what it is at this boot.
#
#   data, and the cluster has this member, or doesn't answer   as it is
#   data of a member that the cluster no longer has            moved to $DATA/old, then as without data
#   no data, and a cluster answers                             as a learner, in place of what it was before
#   no data, no cluster, a founder                             founds the cluster with the others; with $RESTORE, from
#                                                              the last snapshot in that folder, for which it waits
#   no data, no cluster, no founder                            waits
#
# $PEERS: NAME=HOST of every member, with blanks between; $FOUNDERS: the names of those that found;
# $CLUSTER: the token of the founders' cluster.
#
# A founder whose disk was lost must neither found a second cluster nor vote without its log while the others are
# off. So founders first see each other empty: until etcd has the peer port, this script answers there, to whoever
# has a certificate, whether it is empty. A majority of the members must be, and nobody may have data. Whoever saw
# that is `founding`, and keeps that word over reboots; etcd starts when a majority of the founders is, so that
# none is left behind which takes the first one's new data for a cluster's.
# shellcheck disable=SC2153  # these come from the service
set -u
DATA=/var/lib/etcd
PKI=/opt/kubernetes/pki
OWN=https://127.0.0.1:2379
TMP=$(mktemp -d)
# Whoever made the folder let everybody look into it.
chmod 700 "$DATA"
TLS=cert=$PKI/etcd-peer.crt,key=$PKI/etcd-peer.key,cafile=$PKI/etcd-ca.crt,verify=1

say() {
  [ "$1" = "${said:-}" ] || echo "$1"
  said=$1
}

others=""
for peer in $PEERS; do
  case $peer in
    "$NAME="*) url=https://${peer#*=}:2380 ;;
    *) others="$others $peer" ;;
  esac
done

ctl() {
  etcdctl --dial-timeout=2s --command-timeout="${limit:-5s}" "$@"
}

# ask NAME=HOST: what that one's peer port says is in $TMP/peer.NAME; if etcd is there, and has a majority behind it,
# $TMP/seat.NAME has its endpoint.
ask() {
  printf 'GET /version HTTP/1.0\r\n\r\n' |
    timeout 2 socat -t2 - "OPENSSL:${1#*=}:2380,$TLS,commonname=${1%%=*}" 2>/dev/null | head -c 8 >"$TMP/peer.${1%%=*}"
  grep -q '^HTTP' "$TMP/peer.${1%%=*}" || return
  endpoint=https://${1#*=}:2379
  limit=2s ctl --endpoints="$endpoint" endpoint health >/dev/null 2>&1 && echo "$endpoint" >"$TMP/seat.${1%%=*}"
}

# look: asks all others at once. Only what $seat, one with a majority behind it, says of the members counts.
look() {
  rm -f "$TMP"/seat.* "$TMP"/peer.*
  asked=""
  for peer in $others; do
    ask "$peer" &
    asked="$asked $!"
  done
  # shellcheck disable=SC2086  # one word per process
  [ -z "$asked" ] || wait $asked
  seat=$(cat "$TMP"/seat.* 2>/dev/null | head -n 1)
}

# members: ID, state, name, peer URL, client URL and whether it is a learner, of each.
members() {
  [ -n "$seat" ] && ctl --endpoints="$seat" member list
}

note() {
  [ "$(cat "$DATA/member-id" 2>/dev/null)" = "$1" ] && return
  echo "$1" >"$DATA/member-id.new" && sync "$DATA/member-id.new" && mv "$DATA/member-id.new" "$DATA/member-id"
}

# founder_id: the ID that etcd gives to a founder (server/etcdserver/api/membership/member.go, since 2.0).
founder_id() {
  printf '%s%s' "$url" "$CLUSTER" | sha1sum | cut -c1-16
}

# leads ENDPOINT: whether that member leads the cluster.
leads() {
  status=$(limit=2s ctl --endpoints="$1" endpoint status --write-out=fields 2>/dev/null) || return
  [ "$(echo "$status" | sed -n 's/^"Leader" : //p')" = "$(echo "$status" | sed -n 's/^"MemberID" : //p')" ]
}

# promote ID: only the leader is asked. Another member hands it on without saying who asks, and once users exist, the
# leader refuses that (etcdserver/server.go, PromoteMember).
promote() {
  answer="no member that leads the cluster answers"
  for file in "$TMP"/seat.*; do
    endpoint=$(cat "$file" 2>/dev/null)
    leads "$endpoint" || continue
    answer=$(ctl --endpoints="$endpoint" member promote "$1" 2>&1)
    return
  done
  return 1
}

# attend: beside etcd, until it votes: notes which member it is, and has a learner promoted.
attend() {
  id=""
  while [ -z "$id" ]; do
    sleep 1
    id=$(limit=2s ctl --endpoints="$OWN" endpoint status 2>/dev/null | cut -d, -f2 | tr -d ' ')
  done
  note "$id"
  until limit=2s ctl --endpoints="$OWN" endpoint health >/dev/null 2>&1; do
    look
    if members 2>/dev/null | grep -q "^$id, .*, true\$"; then
      if promote "$id"; then
        say "this member has caught up: it votes"
      else
        say "waiting to vote: $(reason "$answer")"
      fi
    fi
    sleep 1
  done
  rm -f "$DATA/founding"
}

# start INITIAL-CLUSTER STATE PROGRAM...
start() {
  initial=$1 state=$2
  shift 2
  [ -z "${listener:-}" ] || kill "$listener"
  attend &
  exec "$@" "--initial-cluster=$initial" "--initial-cluster-state=$state"
}

found() {
  [ -z "${RESTORE-}" ] || restore
  note "$(founder_id)"
  start "$(all_founders)" new "$@"
}

# restore: makes data of the last snapshot in $RESTORE, and waits until there is one that is whole. Kubernetes remembers
# revisions: after a jump nobody takes what is new for what they had before (etcdutl; etcd 3.4's client can't).
restore() {
  jump="--bump-revision=1000000000 --mark-compacted"
  tool=etcdutl
  command -v $tool >/dev/null || tool=etcdctl jump=""
  until
    rm -rf "$DATA/restored"
    snapshot=""
    for one in "$RESTORE"/*.db; do snapshot=$one; done
    # shellcheck disable=SC2086  # a word per option
    if [ ! -e "$snapshot" ]; then
      say "waiting for a snapshot of etcd in $RESTORE"
      false
    elif ! answer=$($tool snapshot restore "$snapshot" --data-dir="$DATA/restored" $jump --name="$NAME" \
      --initial-advertise-peer-urls="$url" --initial-cluster="$NAME=$url" --initial-cluster-token="$CLUSTER" 2>&1); then
      say "waiting for a snapshot that can be restored; $snapshot: $(reason "$answer")"
      false
    fi
  do
    sleep 2
  done
  sync
  mv "$DATA/restored/member" "$DATA/member"
  say "restored $snapshot"
}

# The founders' list, which etcd reads only when it founds.
all_founders() {
  for peer in $PEERS; do
    case " ${FOUNDERS-} " in
      *" ${peer%%=*} "*) printf ',%s=https://%s:2380' "${peer%%=*}" "${peer#*=}" ;;
    esac
  done | cut -c2-
}

# The last line of what etcdctl said, which can be JSON.
reason() {
  echo "$1" | tail -n 1 | sed 's/.*"error":"\([^"]*\)".*/\1/; s/^Error: //'
}

# join: becomes a learner of the cluster; $initial is its list of members.
join() {
  list=$(members 2>/dev/null) || return 1
  learner=$(echo "$list" | awk -F', ' -v name="$NAME" -v url="$url" '$6 == "true" && $3 != name && $4 != url { print $4 }')
  if [ -n "$learner" ]; then
    say "waiting until the member at $learner votes: one joins at a time"
    return 1
  fi
  for id in $(echo "$list" | awk -F', ' -v name="$NAME" -v url="$url" '$3 == name || $4 == url { print $1 }'); do
    if ! answer=$(ctl --endpoints="$seat" member remove "$id" 2>&1); then
      say "waiting to take the place of member $id, which this node was: $(reason "$answer")"
      return 1
    fi
    say "member $id, which this node was before it lost its data, is removed"
  done
  if ! answer=$(ctl --endpoints="$seat" member add "$NAME" --learner "--peer-urls=$url" 2>&1); then
    say "waiting to join: $(reason "$answer")"
    return 1
  fi
  id=$(echo "$answer" | sed -n 's/^Member *\([0-9a-f]*\) added.*/\1/p')
  initial=$(echo "$answer" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p')
  [ -n "$id" ] && [ -n "$initial" ] && note "$id" && rm -f "$DATA/founding" &&
    say "no data, and the cluster answers: joining as member $id"
}

# may_found: whether etcd may start as a founder.
may_found() {
  members=1 empty=1 founders=0 empty_founders=0 founding=0 data=""
  for peer in $PEERS; do
    one=${peer%%=*}
    case " ${FOUNDERS-} " in
      *" $one "*) is_founder=1 ;;
      *) is_founder=0 ;;
    esac
    founders=$((founders + is_founder))
    if [ "$one" = "$NAME" ]; then
      empty_founders=$((empty_founders + is_founder))
      [ ! -e "$DATA/founding" ] || founding=$((founding + 1))
      continue
    fi
    members=$((members + 1))
    case $(cat "$TMP/peer.$one") in
      empty* | founding*)
        empty=$((empty + 1)) empty_founders=$((empty_founders + is_founder))
        grep -q '^e' "$TMP/peer.$one" || founding=$((founding + is_founder))
        ;;
      HTTP*) data="$data $one" ;;
    esac
  done
  if [ -e "$DATA/founding" ]; then
    [ -n "$data" ] || [ $((2 * founding)) -gt "$founders" ] && return
    say "founding: waiting for a majority of ${FOUNDERS-}"
  elif [ -n "$data" ]; then
    say "no data here: waiting for the cluster of$data, which doesn't answer"
  elif case " ${FOUNDERS-} " in *" $NAME "*) false ;; esac; then
    say "no data here: waiting for the cluster, of which nobody answers"
  elif [ $((2 * empty)) -gt "$members" ] && [ $((2 * empty_founders)) -gt "$founders" ]; then
    : >"$DATA/founding" && sync "$DATA/founding" && echo founding >"$TMP/state"
    [ $((2 * (founding + 1))) -gt "$founders" ] && return
  else
    say "no data here: waiting for the cluster, or to see that a majority of the members has none ($empty of $members so far)"
  fi
  return 1
}

if [ -d "$DATA/member/wal" ]; then
  look
  id=$(cat "$DATA/member-id" 2>/dev/null || founder_id)
  list=$(members 2>/dev/null) || list=""
  is_stale=false
  if [ -z "$list" ]; then
    say "data here, and no other member has a majority behind it: starting as member $id"
  elif echo "$list" | grep -q "^$id, "; then
    say "data here, and the cluster answers: starting as member $id"
  else
    is_stale=true
  fi
  $is_stale || start "$(all_founders)" new "$@"
  say "the cluster no longer has this member $id: its data moves to $DATA/old"
  rm -rf "$DATA/old"
  mv "$DATA/member" "$DATA/old"
fi

if [ -z "$others" ]; then
  case " ${FOUNDERS-} " in
    *" $NAME "*)
      say "no data, and no other member: founding the cluster"
      found "$@"
      ;;
  esac
fi
if [ -e "$DATA/founding" ]; then echo founding; else echo empty; fi >"$TMP/state"
socat "OPENSSL-LISTEN:2380,reuseaddr,fork,max-children=16,$TLS" "SYSTEM:cat $TMP/state" 2>/dev/null &
listener=$!
while true; do
  look
  if [ -n "$seat" ]; then
    if join; then
      start "$initial" existing "$@"
    fi
  elif may_found; then
    say "no data here, nor with a majority: founding the cluster"
    found "$@"
  fi
  sleep 0.5
done
