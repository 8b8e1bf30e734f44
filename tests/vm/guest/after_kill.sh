# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A new VMM on a device whose last one was killed: a fresh session that sees what was written.
same "folders of the killed guests" "$(count /mnt/victims)" 2
for file in /mnt/victims/*/busy.*; do
  cat "$file" >/dev/null || die "cannot read $file"
done
rm -r /mnt/victims/victim0 /mnt/victims/victim1
head -c 5000000 /dev/urandom >file
sha256sum file >SHA256SUMS
drop_caches
sha256sum -c SHA256SUMS >/dev/null || die "the guest reads other bytes than it wrote"
cd /
umount /mnt
