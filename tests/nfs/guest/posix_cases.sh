# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# POSIX cases on the share. Left out is what can only wait in vain: the driver sends no INTERRUPT, so
# a killed waiter waits on; and on NFS, where waiters ask again and again, others may come first.
/rig/posix_suite cases . --known /rig/posix_known --timeout 20 \
  --except '*_locks/waiting_one_is_interrupted_by_a_signal,*_locks/killed_waiter*,fcntl_locks/deadlock*' ||
  die "cases failed, see above"
