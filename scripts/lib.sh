# What the scripts here share.
# shellcheck shell=bash

# fail WHAT HELP [CODE]: ends the script; what went wrong and what to do.
fail() {
  printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2
  exit "${3:-3}"
}

# beat TEXT COMMAND...: runs the command, and says each half minute that it still does.
beat() {
  local text=$1 began=$SECONDS beater status=0
  shift
  while sleep 30 >/dev/null 2>&1; do echo "  $text: $((SECONDS - began)) s"; done >&2 &
  beater=$!
  "$@" || status=$?
  kill "$beater" 2>/dev/null || true
  wait "$beater" 2>/dev/null || true
  return "$status"
}
