#!/bin/sh
# Saves what this node's etcd has to $DIRECTORY, every $EVERY seconds, and keeps the last $KEEP.
#
# A snapshot is named by etcd's revision first, which only grows: names are in the order of their content, whatever the
# clock said. It has its name only once it is whole.
set -u
# 0600: a snapshot has all that etcd has.
umask 077
RETRY=30

say() {
  [ "$1" = "${said:-}" ] || echo "$1"
  said=$1
}

snapshots() {
  for one in "$DIRECTORY"/etcd-*.db; do
    [ ! -e "$one" ] || echo "$one"
  done
}

revision() {
  etcdctl --command-timeout=10s endpoint status --write-out=fields 2>/dev/null | sed -n 's/^"Revision" : \([0-9]*\)$/\1/p'
}

save() {
  at=$(revision)
  if [ -z "$at" ]; then
    say "waiting for etcd on this node"
    return 1
  fi
  name=$(printf '%s/etcd-%012d-%s.db' "$DIRECTORY" "$at" "$(date -u +%Y%m%dT%H%M%SZ)")
  if ! problem=$(etcdctl --command-timeout=10m snapshot save "$DIRECTORY/new.db" 2>&1 >/dev/null) || ! sync || ! mv "$DIRECTORY/new.db" "$name"; then
    rm -f "$DIRECTORY"/new.db*
    say "no snapshot: $(echo "$problem" | tail -n 1)"
    return 1
  fi
  said=""
  echo "saved $name"
  snapshots | sort -r | tail -n "+$((KEEP + 1))" | while read -r old; do rm -f "$old"; done
}

# The age of the last one in seconds, if the clock isn't behind it.
age() {
  newest=$(snapshots | sort | tail -n 1)
  [ -n "$newest" ] && then=$(stat -c %Y "$newest") && [ "$then" -le "$(date +%s)" ] && echo $(($(date +%s) - then))
}

rm -f "$DIRECTORY"/new.db*
# After a boot or a restart the rest of the time is waited for, not all of it.
since=$(age)
if [ -n "$since" ] && [ "$since" -lt "$EVERY" ]; then
  sleep $((EVERY - since))
fi
while true; do
  if save; then sleep "$EVERY"; else sleep "$RETRY"; fi
done
