#!/bin/sh
# Puts the add-ons into the cluster, by server-side apply: whoever does it, and how often, the result is the same. The
# ConfigMap remuda-addons in kube-system names their objects: what is no longer in the add-ons is removed, and nothing
# else ever. The OS ignores the exit code, so it tries until all are in.
set -u
folder=/opt/kubernetes

kube() {
  kubectl --kubeconfig=$folder/addons.kubeconfig --cache-dir=/tmp/cache --request-timeout=30s "$@"
}

# What the cluster has noted.
look() {
  noted=$(kube get configmap remuda-addons --namespace=kube-system --ignore-not-found \
    --output='jsonpath={.metadata.resourceVersion}{"\n"}{.data.objects}') || return 1
  version=$(echo "$noted" | sed -n 1p)
  objects=$(echo "$noted" | sed -n 2p)
}

# Notes objects, by a file: an argument has at most 128 KiB. It fails if another node has noted something since.
note() {
  if [ "$objects" = "$1" ]; then
    :
  elif [ -z "$version" ]; then
    printf '%s' "$1" >/tmp/objects
    kube create configmap remuda-addons --namespace=kube-system --from-file=/tmp/objects
  else
    printf '{"metadata":{"resourceVersion":"%s"},"data":{"objects":"%s"}}' "$version" "$1" >/tmp/patch
    kube patch configmap remuda-addons --namespace=kube-system --type=merge --patch-file=/tmp/patch
  fi
}

# The words of the first text that aren't in the second.
without() {
  for word in $1; do
    case " $2 " in *" $word "*) ;; *) printf '%s ' "$word" ;; esac
  done
}

# The words of a file, without or with the paths among them. The admins' binding isn't named, so it is never removed: with
# a new key of theirs, the old one's binding stays until somebody deletes it.
names() {
  [ ! -e "$1" ] || grep -v -e ^/ -e /remuda:admins: "$1" | tr '\n' ' ' | sed 's/ $//'
}

paths() {
  grep ^/ "$1" | tr '\n' ' '
}

# Applies those files of the folder that this config has: earlier ones may have left more.
apply() {
  in=$1
  shift
  found=
  for file in $files; do
    case $file in
      "$in"/*)
        found=y
        set -- "$@" "--filename=$file"
        ;;
    esac
  done
  [ -z "$found" ] || kube apply --server-side "$@"
}

# Numbers of replicas have an owner of their own, and nothing forces them: whoever scales by hand keeps it so. kubectl 1.20
# would take what has nothing but a number for a broken Deployment.
replicas() {
  said=$(apply $folder/addons-replicas --field-manager=remuda-replicas --validate=false 2>&1)
  status=$?
  [ -z "$said" ] || echo "$said"
  case $said in
    *"Apply failed with "*conflict*) echo "the numbers of replicas that somebody else has set stay" ;;
    *) return $status ;;
  esac
}

# Each object is KIND.VERSION.GROUP/NAMESPACE/NAME. What came last goes first: an API before the server that it is of.
# Where the cluster doesn't have the kind, it has none of it.
remove() {
  failed=0
  reversed=
  for object in $1; do
    reversed="$object $reversed"
  done
  for object in $reversed; do
    kind=${object%%/*}
    rest=${object#*/}
    said=$(kube delete "$kind" "${rest#*/}" --namespace="${rest%%/*}" --ignore-not-found --wait=false 2>&1) || case $said in
      *"doesn't have a resource type"*) ;;
      *) failed=1 ;;
    esac
    [ -z "$said" ] || echo "$said"
  done
  return $failed
}

# What the cluster may have is noted before it has it, and until it no longer does.
put() {
  look || return 1
  more=$(without "$ours" "$objects")
  all="$objects${more:+ ${more% }}"
  all=${all# }
  note "$all" || return 1
  apply $folder/addons --force-conflicts --field-manager=remuda && replicas || return 1
  # What the profile's manifests have now is theirs.
  remove "$(without "$all" "$ours $(names $folder/manifests/names)")" || return 1
  look && [ "$objects" = "$all" ] && note "$ours"
}

files=$(paths $folder/addons-names)
ours=$(names $folder/addons-names)
until put; do
  echo "waiting for the API"
  sleep 1
done
echo "the add-ons are in"
