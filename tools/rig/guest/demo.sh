# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the tenant of ./dev demo does. demo.py prints the titles, the commands and their output.
# shellcheck source=tools/rig/guest/lib.sh
. /rig/lib.sh

title() { echo "@@ title $*"; }

# run COMMANDS: shows them, then runs them.
run() {
  echo "@@ run $1"
  eval "$1" || exit 1
}

run 'uname -sr'
title '3. It mounts the share with one command'
run "mount -t virtiofs share /mnt"
run "df -h /mnt"

title '4. It reads a file that the host wrote'
run 'sha256sum /mnt/from_host | cut -d" " -f1'
ask read from_host "$(sum /mnt/from_host)" >/dev/null

title '5. It writes a file that the host reads'
run 'dd if=/dev/urandom of=/mnt/from_tenant bs=1M count=16 2>/dev/null'
run 'sha256sum /mnt/from_tenant | cut -d" " -f1'
ask wrote from_tenant "$(sum /mnt/from_tenant)" >/dev/null

title '6. It unpacks a tree, lists it and renames it'
mkdir -p /tmp/tree
number=0
while [ $number -lt 500 ]; do
  mkdir -p "/tmp/tree/$((number / 50))"
  echo "file $number" >"/tmp/tree/$((number / 50))/$number.txt"
  number=$((number + 1))
done
tar cf /tmp/tree.tar -C /tmp tree
run 'tar xf /tmp/tree.tar -C /mnt'
run 'find /mnt/tree -type f | wc -l'
ask unpacked "$(find /mnt/tree -type f | wc -l)" >/dev/null
run 'mv /mnt/tree /mnt/renamed && ls /mnt'
run 'umount /mnt'
