# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The stock kernel's one command, and what it shows of the device afterwards.
mount_share share /mnt
grep -q '^share /mnt virtiofs ' /proc/mounts || die "the mount is not in /proc/mounts"
for device in /sys/fs/virtiofs/*; do
  same "the tag" "$(cat "$device/tag")" share
  # Absent before Linux 6.10.
  if [ -d "$device/mqs" ]; then
    used=$(cat "$device"/mqs/*/name | grep -c '^requests')
    same "request queues in use" "$used" "$REQUEST_QUEUES"
    note "request queues: $used"
  fi
done
[ -n "$(ls /mnt)" ] || die "the root is empty"
df -m /mnt | tail -n 1
