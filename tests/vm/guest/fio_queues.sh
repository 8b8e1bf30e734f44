# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The same from several processes on several processors, so that all queues are used at once.
# shellcheck source=tests/vm/guest/fio_lib.sh
. /rig/cases/fio_lib.sh
# interrupts: the number of each request queue, one a line.
interrupts() {
  awk '/virtio.*requests/ { n = 0; for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i; print n }' \
    /proc/interrupts
}
same "request queues with an interrupt" "$(interrupts | wc -l)" "$REQUEST_QUEUES"
verified two-4k-16 --numjobs=2 --rw=randwrite --bs=4k --size=6M --ioengine=libaio --iodepth=16 \
  --direct=1
verified four-128k-4 --numjobs=4 --rw=randwrite --bs=128k --size=16M --ioengine=libaio --iodepth=4 \
  --direct=1
verified four-buffered --numjobs=4 --rw=randwrite --bs=16k --size=8M --ioengine=psync
for count in $(interrupts); do
  [ "$count" -gt 100 ] || die "interrupts: $(interrupts | tr '\n' ' ')"
done
note "interrupts of the request queues: $(interrupts | tr '\n' ' ')"
