#!/bin/sh
# What a Temporal server, or a namespace of Temporal Cloud, has to know of Towpath. Needs the `temporal` program, which finds the server by
# TEMPORAL_ADDRESS, TEMPORAL_TLS_… and TEMPORAL_API_KEY. Run it again after an upgrade: what is there already stays.
set -eu
namespace=${TEMPORAL_NAMESPACE:-towpath}

# Histories of what has ended are kept for as long as this; sealed receipts in the release store for ever.
temporal operator namespace describe -n "$namespace" >/dev/null 2>&1 ||
  temporal operator namespace create -n "$namespace" --retention 90d

# The whole cluster knows a new namespace after some seconds.
for attribute in TowpathService TowpathEnvironment TowpathStory TowpathRelease TowpathPhase TowpathOutcome TowpathActor; do
  tries=0
  until temporal operator search-attribute list -n "$namespace" 2>/dev/null | grep -qw "$attribute" ||
    said=$(temporal operator search-attribute create -n "$namespace" --name "$attribute" --type Keyword 2>&1); do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { echo "$attribute cannot be registered in $namespace: $said" >&2; exit 1; }
    sleep 1
  done
done
echo "The namespace $namespace is ready for Towpath."
