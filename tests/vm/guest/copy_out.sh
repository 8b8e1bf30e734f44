# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Writes files of many sizes in several ways; the host compares the sums afterwards.
for size in 0 1 511 4095 4096 4097 65537 1048575 1048579 20971520; do
  head -c "$size" /dev/urandom >/tmp/data
  cp /tmp/data "file$size"
  (cd /tmp && sha256sum data) | sed "s/data/file$size/" >>/tmp/sums
done
# Direct I/O of one large file, then a part in the middle replaced.
dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
dd if=/tmp/data of=direct bs=256k oflag=direct 2>/dev/null
dd if=/dev/urandom of=/tmp/patch bs=5000 count=3 2>/dev/null
for file in /tmp/data direct; do
  dd if=/tmp/patch of=$file bs=5000 seek=77 conv=notrunc 2>/dev/null
done
(cd /tmp && sha256sum data) | sed "s/data/direct/" >>/tmp/sums
# Through a mapping.
xfs_io -f -c "truncate 1m" -c "mmap -rw 0 1m" -c "mwrite -S 0x5a 1000 500000" -c "msync -s" \
  mapped >/dev/null
sha256sum mapped >>/tmp/sums
# Within the device: copy_file_range.
xfs_io -f -c "copy_range file20971520" copied >/dev/null
same "the copy" "$(sum copied)" "$(sum file20971520)"
sha256sum copied >>/tmp/sums
# Every line opens, appends and closes.
number=1
while [ $number -le 100 ]; do
  echo "line $number" >>appended
  number=$((number + 1))
done
sha256sum appended >>/tmp/sums
rm /tmp/data /tmp/patch
cp /tmp/sums SHA256SUMS
rm /tmp/sums
# What a later reader in the guest sees is the same.
drop_caches
sha256sum -c SHA256SUMS >/dev/null || die "the guest reads other bytes than it wrote"
