# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Data with checksums in every block: several engines, depths and block sizes.
# shellcheck source=tests/vm/guest/fio_lib.sh
. /rig/cases/fio_lib.sh
verified sync-4k --rw=randwrite --bs=4k --size=6M --ioengine=psync
verified direct-4k-1 --rw=randwrite --bs=4k --size=4M --ioengine=libaio --iodepth=1 --direct=1
verified direct-4k-32 --rw=randwrite --bs=4k --size=12M --ioengine=libaio --iodepth=32 --direct=1
verified direct-64k-16 --rw=randwrite --bs=64k --size=32M --ioengine=libaio --iodepth=16 --direct=1
verified direct-1m-8 --rw=write --bs=1M --size=64M --ioengine=libaio --iodepth=8 --direct=1
verified direct-mixed --rw=randwrite --bsrange=512-256k --blockalign=512 --size=24M \
  --ioengine=libaio --iodepth=16 --direct=1
# fio finds odd blocks again only in the run that wrote them.
checked buffered-odd --rw=write --bsrange=1k-70k --bs_unaligned --size=16M --ioengine=psync
verified mapped --rw=randwrite --bs=4k --size=8M --ioengine=mmap
