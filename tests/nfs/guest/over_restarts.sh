# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Data with checksums in every block, written while the host does things to the server.
# shellcheck source=tests/vm/guest/fio_lib.sh
. /rig/cases/fio_lib.sh
checked over-restarts --rw=randwrite --bs=4k --size=24M --ioengine=libaio --iodepth=16 --direct=1 \
  --rate=1200k --fsync=32 &
worker=$!
# Through the page cache, and names, from other processes.
(
  number=0
  while kill -0 $worker 2>/dev/null; do
    number=$((number + 1))
    echo "$number" >"new$number"
    sync "new$number"
    mv "new$number" "kept$number" || exit 1
    [ "$(cat "kept$number")" = "$number" ] || exit 1
    sleep 0.05
  done
  echo $number >/tmp/count
) &
names=$!
for fault in restart kill restart; do
  ask "$fault" >/dev/null
done
wait $worker || die "fio, while the server was restarted"
wait $names || die "names, while the server was restarted"
drop_caches
checked over-restarts --verify_only=1
same "files that were renamed" "$(find . -name 'kept*' | wc -l)" "$(cat /tmp/count)"
