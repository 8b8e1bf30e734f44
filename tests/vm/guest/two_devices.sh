# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two devices mounted at once: work on both at the same time, and neither sees the other's files.
work() {
  cd "/mnt/$1" || exit 1
  same "the host's file" "$(cat from_host)" "$1"
  head -c 8000000 /dev/urandom >"of_$1"
  sha256sum "of_$1" >SHA256SUMS
  drop_caches
  sha256sum -c SHA256SUMS >/dev/null || die "$1: other bytes than were written"
}
for tag in first second; do mount_share "$tag" "/mnt/$tag"; done
work first &
one=$!
work second &
two=$!
wait $one || die "the first device failed"
wait $two || die "the second device failed"
[ ! -e /mnt/second/of_first ] || die "the devices share their files"
# One goes, the other stays.
umount /mnt/first
same "the second after the first went" "$(cat /mnt/second/from_host)" second
umount /mnt/second
