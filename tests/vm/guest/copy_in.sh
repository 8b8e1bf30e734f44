# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Reads what the host wrote, with buffers of several sizes and past the page cache.
sha256sum -c SHA256SUMS >/tmp/sums || { cat /tmp/sums; die "sums differ"; }
note "files with equal sums: $(grep -c ': OK' /tmp/sums)"
large=file20971520
expected=$(sum "$large")
for size in 1009 4096 131072 3000000; do
  drop_caches
  same "$large read by $size" "$(dd if="$large" bs=$size 2>/dev/null | sum -)" "$expected"
done
same "read directly" "$(dd if="$large" bs=1M iflag=direct 2>/dev/null | sum -)" "$expected"
# Mapped pages are read as they are touched.
drop_caches
xfs_io -r -c "mmap -r 0 1m" -c "mread 4090 12" file1048579 >/dev/null || die "mapped read"
