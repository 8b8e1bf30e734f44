# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the tenant of ./dev demo nfs does after demo.sh, with its functions.

title '7. It writes with checksums, while the NFS server is stopped, and killed'
run 'grep -c nfs /proc/filesystems || true    # no NFS client in this kernel'
run 'mount -t virtiofs share /mnt'
options='--rw=randwrite --bs=4k --size=24M --ioengine=libaio --iodepth=16 --direct=1 --rate=1600k
  --fsync=64 --end_fsync=1 --verify=crc32c --verify_fatal=1 --fallocate=none'
# shellcheck disable=SC2086 # words
echo "@@ run" fio --name=work --directory=/mnt $options
# shellcheck disable=SC2086
fio --name=work --directory=/mnt $options --eta=never --output=/tmp/fio.out &
worker=$!
ask restart stop >/dev/null
ask restart kill >/dev/null
status=0
wait $worker || status=$?
grep -E 'err=|READ:|WRITE:' /tmp/fio.out
ask fio "$status" "$(grep -o 'err= *[0-9]*' /tmp/fio.out)" >/dev/null
run 'rm /mnt/work*; umount /mnt'
