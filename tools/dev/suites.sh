# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# ./dev suites: other people's suites on a mount of dpfs.

help_suites() {
  cat <<'END'
usage: ./dev suites [--plain] [DIR [JOB...]]

Mounts a new directory with dpfs (needs root and /dev/fuse) and runs Debian's file system suites and
everyday programs there: fio, stress-ng, dbench, bonnie++, SQLite, RocksDB, git, make, 20,000 files.
With DIR, the new directory is made in DIR. Programs that are not installed are skipped and named;
'./dev setup suites' installs them.

  --plain   on the directory itself, without dpfs, to compare

  ./dev suites
  ./dev suites /srv/scratch sqlite git
  tests/suites/run.sh --help     the jobs
END
}

cmd_suites() {
  wants_help "$@" && { help_suites; return; }
  plain=""
  if [ "${1:-}" = --plain ]; then
    plain=1
    shift
  fi
  parent=${1:-/tmp}
  [ $# -eq 0 ] || shift
  [ -d "$parent" ] || die "'$parent' is no directory"
  workplace=$(mktemp -d "$parent/dpfs-suites.XXXXXX")
  workplace=$(cd "$workplace" && pwd)
  mkdir "$workplace/share" "$workplace/mount"
  status=0
  if [ -n "$plain" ]; then
    sh tests/suites/run.sh "$workplace/share" "$@" || status=$?
  else
    setup build
    build_preset release dpfs
    build/release/dpfs mount "local:$workplace/share" "$workplace/mount" ||
      die "the mount failed; nothing was run"
    say "running on dpfs at $workplace/mount"
    sh tests/suites/run.sh "$workplace/mount" "$@" || status=$?
    build/release/dpfs umount "$workplace/mount" || status=1
  fi
  # Never through a mount that is still there.
  rmdir "$workplace/mount" && rm -rf "$workplace"
  return "$status"
}
