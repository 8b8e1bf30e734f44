# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Functions for jobs in the guest. They say to the host what happens, in lines that begin with '@@ '.

# note WORD...: a fact for the host, such as 'note files 20000'.
note() { echo "@@ note $*"; }

# ask WORD...: tells the host something and waits for its one line of answer, which it prints.
ask() {
  echo "@@ ask $*" >/dev/console
  read -r answer </dev/console
  echo "$answer"
}

# die SENTENCE: the case fails.
die() {
  echo "FAILED: $*"
  exit 1
}

# same WHAT FOUND EXPECTED
same() {
  [ "$2" = "$3" ] || die "$1 is '$2', expected '$3'"
}

# mount_share TAG FOLDER
mount_share() {
  mkdir -p "$2"
  mount -t virtiofs "$1" "$2" || die "mount -t virtiofs $1 $2"
}

# count FOLDER: how many entries it has.
count() { find "$1" -mindepth 1 -maxdepth 1 | wc -l; }

# sum FILE: its SHA-256.
sum() { sha256sum "$1" | cut -d' ' -f1; }

# drop_caches: what is read next comes from the device.
drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

# uptime_s: seconds since boot with hundredths.
uptime_s() { cut -d' ' -f1 /proc/uptime; }

# since UPTIME: how long ago that was, for people.
since() { echo "$1 $(uptime_s)" | awk '{ printf "%.1f s", $2 - $1 }'; }

# run_case NAME: runs /rig/cases/NAME.sh in a shell of its own, which ends at the first command that fails.
# Status 77 says that it cannot run here.
run_case() {
  echo "@@ begin $1"
  rm -rf /tmp/*
  begin=$(uptime_s)
  status=0
  sh -e /rig/case "$1" || status=$?
  took=$(since "$begin")
  case $status in
    0) echo "@@ pass $1 ${took% s}" ;;
    77) echo "@@ skip $1 ${took% s}" ;;
    *) echo "@@ fail $1 ${took% s}" ;;
  esac
}
