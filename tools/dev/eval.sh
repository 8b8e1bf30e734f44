# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# ./dev eval: what a back end costs and brings, as tables and plots.

help_eval() {
  cat <<'END'
usage: ./dev eval nfs|kv [ARGUMENTS]

Builds dpfs and measures a back end beside what else a tenant could be given. Markdown, JSON and
plots come to build/eval/nfs/ or build/eval/kv/, with a line under each on what was measured. Needs
root. Let the machine rest meanwhile.

  nfs   on a real NFS server: what the tenant pays beside the guest's own NFS client (instructions
        of its kernel, by a plugin of QEMU), throughput by depth, what latency is made of, and whole
        jobs on files
  kv    whole small files on RocksDB and Valkey beside a local directory, NFS and S3QL; what they
        cost with up to a million files; memory of idle file systems

  ./dev eval nfs                      all of it, some minutes
  ./dev eval kv                       all of it, half an hour
  ./dev eval kv --quick               small rounds, to see that it works
  ./dev eval nfs --only tenant --check    status 1 where a target is missed
  ./dev eval kv --help                what it accepts
END
}

cmd_eval() {
  what=${1:-}
  case $what in
    nfs | kv) shift ;;
    '' | -h | --help)
      help_eval
      return
      ;;
    *) die "there is nothing to evaluate by the name '$what'; see ./dev eval --help" ;;
  esac
  if wants_help "$@"; then
    python3 "tools/eval/$what.py" --help
    return
  fi
  setup build eval
  build_preset release dpfs mount_load nfs_responder eval
  python3 "tools/eval/$what.py" --build build/release "$@"
}
