#!/bin/sh
# etcd-members.sh URL PROGRAM ARGUMENT...: runs this node's etcd, whose members may come back from a boot with other
# addresses. A member says its URL of now to etcd and to the discovery service; a proxy that reaches none ends
# when that one knows better, and asks it when it is started anew.
set -u
DATA=/var/lib/etcd/data
url=$1
shift

get() {
  timeout 5 wget -q -O - "$1" 2>/dev/null
}

# put URL TYPE BODY
put() {
  where=${1#*://}
  host=${where%%/*}
  case $1 in
    https:*) to=OPENSSL port=443 ;;
    *) to=TCP port=80 ;;
  esac
  case $host in *:*) port=${host##*:} ;; esac
  printf 'PUT /%s HTTP/1.0\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n%s' "${where#*/}" "$host" "$2" "$(printf %s "$3" | wc -c)" "$3" |
    timeout 10 socat -t 5 - "$to:${host%:*}:$port" | head -n 1 | grep -q ' 20[0-9] '
}

# ID NAME=URL of each node that came to the token.
registered() {
  get "$TOKEN" | tr '{' '\n' | sed -n 's|.*/\([0-9a-f]*\)","value":"\([^"]*=[^"]*\)".*|\1 \2|p'
}

tell() {
  mine=$(registered | grep "^[0-9a-f]* $NAME=") || return 1
  id=${mine%% *}
  members=$(get http://127.0.0.1:2379/v2/members) || return 1
  case $members in
    *"\"$url\""*) ;;
    *) put "http://127.0.0.1:2379/v2/members/$id" application/json "{\"peerURLs\":[\"$url\"]}" || return 1 ;;
  esac
  [ "${mine#*=}" = "$url" ] || put "$TOKEN/$id" application/x-www-form-urlencoded "value=$NAME=$url"
}

# answers: a member that has said where its clients find it.
answers() {
  for one in $(registered | cut -d= -f2-); do
    case $(get "$one/members") in *'"clientURLs":["http'*) return ;; esac
  done
  return 1
}

"$@" &
etcd=$!
trap 'kill "$etcd"; wait "$etcd"; exit 0' TERM INT
told=false
while sleep 2 && kill -0 "$etcd" 2>/dev/null; do
  if [ -d "$DATA/member/wal" ]; then
    $told && continue
    if tell; then
      told=true
      echo "etcd and $TOKEN know this member at $url"
    else
      echo "waiting for etcd and for the discovery service, to tell them that this member is at $url"
    fi
  elif [ -d "$DATA/proxy" ] && ! get http://127.0.0.1:2379/health | grep -q true; then
    if answers; then
      echo "a member of etcd is at $one: starting anew"
      kill "$etcd"
      break
    fi
    echo "waiting for a member of etcd, where $TOKEN says that one is"
  fi
done
wait "$etcd"
# A proxy's list of members; without it, it asks.
rm -rf "$DATA/proxy"
exit 1
