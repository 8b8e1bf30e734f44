# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Memory modules come while fio verifies; then the device reads and writes the new memory itself.
# shellcheck source=tests/vm/guest/fio_lib.sh
. /rig/cases/fio_lib.sh
memory_mib() { awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo; }
before=$(memory_mib)
mkdir fio
(cd fio && while [ ! -e /tmp/stop ]; do
  verified during --numjobs=2 --rw=randwrite --bsrange=4k-128k --size=8M --ioengine=libaio \
    --iodepth=16 --direct=1
done) &
loop=$!
until [ "$(count fio)" -gt 0 ]; do sleep 0.2; done
same "the host's plugging" "$(ask plug)" ok
# The new memory is online when the kernel counts it.
tries=0
until [ "$(memory_mib)" -gt $((before + 400)) ]; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || die "$(memory_mib) MiB after plugging, $before MiB before"
  sleep 0.2
done
note "memory: $before MiB before, $(memory_mib) MiB after"
: >/tmp/stop
wait $loop || die "fio failed while memory was plugged"
# One buffer larger than the machine was at first: a part of it lies in the new modules. So does the
# page cache of its source.
source_mib=$(($(stat -c %s source) >> 20))
[ "$source_mib" -gt "$before" ] || die "$source_mib MiB fit into the first $before MiB"
xfs_io -f -d -c "pwrite -b ${source_mib}m -i source 0 ${source_mib}m" copy >/dev/null ||
  die "pwrite"
drop_caches
cmp source copy || die "the bytes that went through the new memory differ"
