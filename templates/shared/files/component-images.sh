#!/bin/sh
# Fetches image tarballs from $IMAGES_URL, checks each against its SHA-256 and loads those for
# system-docker; the OS loads those for user Docker itself, right after this. NAME.done is the OS's own
# mark that a tarball was loaded. A failure is tried again, for ever: nothing that needs the images
# starts before. $ARCHIVES: ENGINE:FILE:SHA256, with blanks between them.
set -u
folder=/var/lib/rancher/preload

# fetch ENGINE FILE SHA256
fetch() {
  file=$folder/$1/$2
  [ ! -e "$file.done" ] || return 0
  mkdir -p "$folder/$1"
  if [ ! -e "$file" ]; then
    echo "fetching $IMAGES_URL/$2"
    wget -c -O "$file.part" "$IMAGES_URL/$2" || return 1
    if ! echo "$3  $file.part" | sha256sum -c >/dev/null; then
      echo "$2 is not what the config says: it is fetched anew"
      rm -f "$file.part"
      return 1
    fi
    mv "$file.part" "$file"
  fi
  [ "$1" = system-docker ] || return 0
  system-docker load -i "$file" || return 1
  : >"$file.done"
  rm -f "$file"
}

for archive in $ARCHIVES; do
  engine=${archive%%:*}
  rest=${archive#*:}
  until fetch "$engine" "${rest%:*}" "${rest#*:}"; do
    echo "trying again in 5 seconds"
    sleep 5
  done
done
echo "the images are there"
