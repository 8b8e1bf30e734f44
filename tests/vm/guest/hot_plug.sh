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
# More pages than the machine had at first: some buffers must lie in the new modules.
mkdir /tmp/large
mount -t tmpfs -o size=90% large /tmp/large
head -c 420000000 /dev/zero | tr '\0' 'd' >/tmp/large/filler
head -c 60000000 /dev/urandom >/tmp/large/data
dd if=/tmp/large/data of=data bs=1M oflag=direct 2>/dev/null
sha256sum data >SHA256SUMS
drop_caches
same "what went through it" "$(dd if=data bs=1M iflag=direct 2>/dev/null | sum -)" \
  "$(sum /tmp/large/data)"
