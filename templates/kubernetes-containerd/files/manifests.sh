#!/bin/sh
# Applies the profile's manifests, whose fingerprint it gets, and removes what is no longer in them. The ConfigMap
# remuda-manifests in kube-system has the fingerprints of all manifests that the cluster ever had, the newest last: older
# ones aren't put back by a node that boots with an old config. It also names the objects of the newest, so that nothing
# else is ever removed. What can't be applied is in this log, and tried again; it holds nothing else up.
set -u
fingerprint=$1
folder=/opt/kubernetes/manifests

kube() {
  kubectl --kubeconfig=/opt/kubernetes/manifests.kubeconfig --cache-dir=/tmp/cache --request-timeout=30s "$@"
}

# What the cluster has noted.
look() {
  noted=$(kube get configmap remuda-manifests --namespace=kube-system --ignore-not-found \
    --output='jsonpath={.metadata.resourceVersion}{"\n"}{.data.fingerprints}{"\n"}{.data.objects}') || return 1
  version=$(echo "$noted" | sed -n 1p)
  known=$(echo "$noted" | sed -n 2p)
  objects=$(echo "$noted" | sed -n 3p)
}

# Notes fingerprints and objects, by a file: an argument has at most 128 KiB. It fails if another node has noted
# something since.
note() {
  if [ -z "$version" ]; then
    printf '%s' "$2" >/tmp/objects
    kube create configmap remuda-manifests --namespace=kube-system --from-literal=fingerprints="$1" --from-file=/tmp/objects
  else
    printf '{"metadata":{"resourceVersion":"%s"},"data":{"fingerprints":"%s","objects":"%s"}}' "$version" "$1" "$2" >/tmp/patch
    kube patch configmap remuda-manifests --namespace=kube-system --type=merge --patch-file=/tmp/patch
  fi
}

# The words of the first text that aren't in the second.
without() {
  for word in $1; do
    case " $2 " in *" $word "*) ;; *) printf '%s ' "$word" ;; esac
  done
}

# Numbers of replicas have an owner of their own, and nothing forces them: whoever scales by hand keeps it so.
apply() {
  [ -s $folder/objects.yaml ] || return 0
  kube apply --server-side --force-conflicts --field-manager=remuda --filename=$folder/objects.yaml
  objects_are_in=$?
  [ ! -s $folder/replicas.yaml ] ||
    said=$(kube apply --server-side --field-manager=remuda-replicas --filename=$folder/replicas.yaml 2>&1) ||
    echo "the numbers of replicas that somebody else has set stay: $(echo "$said" | grep conflict | head -n 5)"
  return $objects_are_in
}

# Each object is KIND.VERSION.GROUP/NAMESPACE/NAME. Where the cluster doesn't have the kind, it has none of it.
remove() {
  failed=0
  for object in $1; do
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

ours=
[ ! -e $folder/names ] || ours=$(tr '\n' ' ' <$folder/names)
ours=${ours% }
# What an add-on has now is the add-on's.
addons=
[ ! -e /opt/kubernetes/addons-names ] || addons=$(tr '\n' ' ' </opt/kubernetes/addons-names)
wait=1
while :; do
  until look; do
    echo "waiting for the API"
    sleep 1
  done
  case " $known " in
    *" $fingerprint ") is_noted=y ;;
    *" $fingerprint "*)
      echo "the cluster has had newer manifests than these: a higher \`manifests.generation\` in the profile puts them back"
      exit 0
      ;;
    *)
      is_noted=
      more=$(without "$ours" "$objects")
      objects="$objects${more:+ ${more% }}"
      note "${known:+$known }$fingerprint" "${objects# }" && is_noted=y
      ;;
  esac
  if [ "$is_noted" ]; then
    apply
    applied=$?
    remove "$(without "$objects" "$ours $addons")" && [ $applied = 0 ] && look && case " $known " in
      *" $fingerprint ") [ "$objects" = "$ours" ] || note "$known" "$ours" ;;
      *) false ;;
    esac && {
      echo "the manifests are in"
      exit 0
    }
  fi
  echo "not all manifests are in: trying again in $wait s"
  sleep $wait
  [ $wait -ge 30 ] || wait=$((wait * 2))
done
