# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A file system mounted inside the share is one of its own in the guest, and stays it.
[ -e below/mounted ] || {
  echo "SKIPPED: the host could not mount anything inside the share"
  exit 77
}
outer=$(stat -c %d .)
inner=$(stat -c %d below/mounted)
[ "$outer" != "$inner" ] || die "both have device number $outer"
grep -q ' /mnt/submounts/below virtiofs ' /proc/mounts || die "it is not in /proc/mounts"
# Longer than names are believed: Linux looks again, and must find what it knows.
sleep 2
same "the mount point's device number" "$(stat -c %d below)" "$inner"
same "its size in KiB" "$(df -k below | tail -n 1 | awk '{print $2}')" 1024
echo guest >below/written
sync
