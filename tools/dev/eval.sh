# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# ./dev eval: what a back end costs and brings, as tables and plots.

help_eval() {
  cat <<'END'
usage: ./dev eval nfs [ARGUMENTS]

Builds dpfs and measures its NFS back end on a real NFS server: what the tenant pays beside the
guest's own NFS client (instructions of its kernel, by a plugin of QEMU), throughput by depth, what
latency is made of, and whole jobs on files. Markdown, JSON and plots come to build/eval/nfs/, with a
line under each on what was measured. Needs root. Let the machine rest meanwhile.

  ./dev eval nfs                      all of it, some minutes
  ./dev eval nfs --quick              small rounds, to see that it works
  ./dev eval nfs --only tenant --check    status 1 where a target is missed
  ./dev eval nfs --help               what it accepts
END
}

cmd_eval() {
  case ${1:-} in
    nfs) shift ;;
    '' | -h | --help)
      help_eval
      return
      ;;
    *) die "there is nothing to evaluate by the name '$1'; see ./dev eval --help" ;;
  esac
  if wants_help "$@"; then
    python3 tools/eval/nfs.py --help
    return
  fi
  setup build eval
  build_preset release dpfs mount_load nfs_responder eval
  python3 tools/eval/nfs.py --build build/release "$@"
}
