#!/bin/sh
# Holds etcd back while its discovery token is one that an earlier cluster used: two clusters that hold each
# other for one lose data. $DATA/discovery is the mark of a token that this node itself came to.
set -u
DATA=/var/lib/etcd
# A member has its log; the folder above is there before.
if [ -d "$DATA/data/member/wal" ] || [ -d "$DATA/data/proxy" ]; then
  exit 0
fi

while [ "$(cat "$DATA/discovery" 2>/dev/null)" != "$TOKEN" ]; do
  answer=$(wget -q -O - "$TOKEN") || answer=
  case $answer in
    *"\"value\":\"$NAME="*)
      echo "the token $TOKEN was used by an earlier cluster. On the machine with the profile:" \
        "remuda discovery new PROFILE && remuda gen PROFILE; then boot the nodes with their new configs"
      sleep 30
      ;;
    *'"dir":true'*) echo "$TOKEN" >"$DATA/discovery" ;;
    *)
      echo "waiting for an answer about the token $TOKEN"
      sleep 5
      ;;
  esac
done
