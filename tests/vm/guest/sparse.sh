# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Holes: large sizes without blocks, allocation, punched holes, seeking for data.
xfs_io -f -c "truncate 8g" -c "pwrite -S 0xab 4g 4k" -c fsync huge >/dev/null
same "size" "$(stat -c %s huge)" 8589934592
[ "$(stat -c %b huge)" -le 2048 ] || die "a sparse file has $(stat -c %b huge) blocks"
drop_caches
same "bytes in a hole" "$(dd if=huge bs=1M skip=100 count=2 2>/dev/null | tr -d '\0' | wc -c)" 0
data=$(xfs_io -r -c "seek -d 0" huge | awk '/DATA/ { print $2 }')
if [ "$data" -le 4293918720 ] || [ "$data" -gt 4294967296 ]; then die "data begins at '$data'"; fi

xfs_io -f -c "falloc 0 8m" allocated >/dev/null
same "allocated size" "$(stat -c %s allocated)" 8388608
[ "$(stat -c %b allocated)" -ge 16384 ] || die "falloc allocated $(stat -c %b allocated) blocks"

xfs_io -f -c "pwrite -S 0x11 0 6m" -c "fpunch 1m 4m" -c fsync punched >/dev/null
same "size after a punch" "$(stat -c %s punched)" 6291456
drop_caches
same "zeros of the hole" "$(dd if=punched bs=1M skip=1 count=4 2>/dev/null | tr -d '\0' | wc -c)" 0
same "bytes around it" "$(tr -d '\0' <punched | wc -c)" 2097152

# Shorter and longer again: the end must read as zeros.
xfs_io -f -c "pwrite -S 0x22 0 100k" -c "truncate 5000" -c "truncate 100k" cut >/dev/null
drop_caches
same "bytes after truncating" "$(tr -d '\0' <./cut | wc -c)" 5000
