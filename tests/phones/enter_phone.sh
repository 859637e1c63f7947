#!/bin/sh
# Runs a program in a folder that looks like a phone. Called by adbd.py in mount and process
# namespaces of its own: nothing that is mounted here is seen outside, or outlives them.
set -eu
root=$1 programs=$2
shift 2
for name in usr bin lib lib64 dev; do
  if [ -e "/$name" ]; then
    mkdir -p "$root/$name"
    mount --rbind "/$name" "$root/$name"
  fi
done
mkdir -p "$root/proc"
# Its own processes where that is allowed, else those of the machine.
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mkdir -p "$root/adbd" "$root/etc" "$root/small"
# A place that is soon full.
mount -t tmpfs -o size=1m none "$root/small"
mount --bind "$programs" "$root/adbd"
exec chroot "$root" "$@"
