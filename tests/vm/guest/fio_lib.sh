# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh

# checked NAME OPTION...: one run of fio with a CRC-32C in every block.
checked() {
  job=$1
  shift
  fio --name="$job" --directory="$PWD" --verify=crc32c --verify_fatal=1 --end_fsync=1 \
    --group_reporting --randrepeat=1 --fallocate=none --eta=never --output="/tmp/$job.out" "$@" || {
    cat "/tmp/$job.out"
    die "fio $job $*"
  }
}

# verified NAME OPTION...: fio writes and reads all of it back, then once more with no page cached.
verified() {
  begin=$(uptime_s)
  checked "$@"
  drop_caches
  checked "$@" --verify_only=1
  note "fio $1: $(since "$begin")"
  rm -f "$1".*
}
