#!/bin/sh
# Makes the shared data root ready for uid 1000, and puts the demo's profiles there that are not there yet:
#   prepare_data.sh ROOT PROFILES
# May be run again at any time. A bind mount that Docker made belongs to root; this is why it runs as root.
set -eu
root=$1
profiles=$2
owner=${PLAYTRACE_OWNER:-1000:1000}

for directory in coverage profiles runs playback playback/runs playback/fork playback/archive; do
    mkdir -p "$root/$directory"
    chown "$owner" "$root/$directory"
    # Whatever user of the group makes something there, the group may write it.
    chmod 2775 "$root/$directory"
done
for source in "$profiles"/*/; do
    target=$root/profiles/$(basename "$source")
    if [ ! -e "$target" ]; then
        cp -R "$source" "$target"
        chown -R "$owner" "$target"
    fi
done
