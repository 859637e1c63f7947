#!/bin/sh
# Runs a program in a folder that looks like a Linux board. Called by sshd.py in mount and process
# namespaces of its own: nothing that is mounted here is seen outside, or outlives them.
set -eu
root=$1
shift
for name in usr bin lib lib64 dev; do
  if [ -e "/$name" ]; then
    mkdir -p "$root/$name"
    mount --rbind "/$name" "$root/$name"
  fi
done
mount -t proc proc "$root/proc"
mount --bind "$root/etc/boot_id" "$root/proc/sys/kernel/random/boot_id"
# A place that is soon full, and may be written to by all.
mount -t tmpfs -o size=1m,mode=1777 none "$root/small"
exec chroot "$root" "$@"
