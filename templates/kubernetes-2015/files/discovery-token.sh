#!/bin/sh
# Holds etcd back while its discovery token is one that an earlier cluster used: two clusters that hold each
# other for one lose data. $DATA/discovery is the mark of a token that this node itself came to.
set -u
DATA=/var/lib/etcd
# A member has its log; the folder above is there before.
if [ -d "$DATA/data/member/wal" ] || [ -d "$DATA/data/proxy" ]; then
  exit 0
fi

mend="On the machine with the profile: \
remuda discovery new PROFILE && remuda gen PROFILE; then boot the nodes with their new configs"
while [ "$(cat "$DATA/discovery" 2>/dev/null)" != "$TOKEN" ]; do
  answer=$(wget -q -O - "$TOKEN" 2>&1)
  case $answer in
    *"\"value\":\"$NAME="*)
      echo "the token $TOKEN was used by an earlier cluster. $mend"
      sleep 30
      ;;
    *'"dir":true'*) echo "$TOKEN" >"$DATA/discovery" ;;
    *" 404"*)
      echo "the discovery service doesn't know the token $TOKEN. $mend"
      sleep 5
      ;;
    *)
      echo "waiting for an answer about the token $TOKEN"
      sleep 5
      ;;
  esac
done
