# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the tenant of ./dev demo kv does after demo.sh, with its functions.

title '7. It mounts the other share, whose files are on the cluster'
run 'mount -t virtiofs cluster /mnt'
run 'df -h /mnt'
run 'sha256sum /mnt/from_host | cut -d" " -f1'
ask read from_host "$(sum /mnt/from_host)" >/dev/null

title '8. It writes there with checksums, while a primary of the cluster is killed'
options='--rw=randwrite --bs=4k --size=12M --ioengine=libaio --iodepth=16 --direct=1 --rate=800k
  --fsync=256 --end_fsync=1 --verify=crc32c --verify_fatal=1 --fallocate=none'
# shellcheck disable=SC2086 # words
echo "@@ run" fio --name=work --directory=/mnt $options
# shellcheck disable=SC2086
fio --name=work --directory=/mnt $options --eta=never --output=/tmp/fio.out &
worker=$!
ask kill >/dev/null
status=0
wait $worker || status=$?
grep -E 'err=|READ:|WRITE:' /tmp/fio.out
ask fio "$status" "$(grep -o 'err= *[0-9]*' /tmp/fio.out)" >/dev/null
run 'cp /mnt/from_host /mnt/from_tenant && rm /mnt/work* && ls /mnt'
ask wrote_to_cluster from_tenant "$(sum /mnt/from_tenant)" >/dev/null
run 'umount /mnt'
