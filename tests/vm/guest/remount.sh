# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Mounted, written, unmounted, three times: every mount sees what the ones before left.
cd /
for round in 1 2 3; do
  umount /mnt || die "umount before round $round"
  ! grep -q ' /mnt ' /proc/mounts || die "still mounted"
  mount_share share /mnt
  cd /mnt/remount || exit 1
  if [ $round -gt 1 ]; then
    sha256sum -c SHA256SUMS >/dev/null || die "round $round sees other bytes"
  fi
  head -c 300000 /dev/urandom >"round$round"
  sha256sum "round$round" >>SHA256SUMS
  cd /
done
