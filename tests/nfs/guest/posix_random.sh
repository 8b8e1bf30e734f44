# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Random operations: on the share and on a tmpfs of the guest; on one file against a model.
mkdir -p /tmp/plain
mount -t tmpfs plain /tmp/plain
status=0
/rig/posix_suite differential . --beside /tmp/plain --seed 1 --ops 1500 --one-user \
  --only-files || status=1
umount /tmp/plain
[ $status = 0 ] || die "a sequence of operations differs, see above"
/rig/posix_suite fsx . --seed 1 --ops 1500 --processes 2 || die "bytes differ, see above"
