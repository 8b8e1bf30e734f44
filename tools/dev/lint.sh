# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The checks that need no running program.

help_lint() {
  cat <<'END'
usage: ./dev lint [--quick]

Format, include rules, licence lines, shell scripts, headers that compile alone, and clang-tidy over
src/ (left out by --quick). clang-tidy's results are remembered in build/tidy, so only what changed
is looked at again.

  ./dev lint
  ./dev lint --quick
END
}

cmd_lint() {
  wants_help "$@" && { help_lint; return; }
  quick=""
  for argument in "$@"; do
    case $argument in
      --quick) quick=1 ;;
      *) die "lint does not know '$argument'; see ./dev lint --help" ;;
    esac
  done
  setup build check
  # The headings of the checks are enough here.
  exec 3>/dev/null
  lint "$quick"
}

# lint QUICK: goes through all checks, even when one has failed. Progress on descriptor 3.
lint() {
  failed=""
  phase "format" check_format || failed="$failed format"
  phase "include rule" python3 tools/check_includes.py || failed="$failed includes"
  phase "sources" check_sources || failed="$failed sources"
  phase "shell scripts" check_shell || failed="$failed shell"
  phase "tests of the checks" python3 -m unittest discover -q -s tools -p '*_test.py' ||
    failed="$failed tests-of-checks"
  if [ -z "$1" ]; then
    phase "clang-tidy" check_tidy || failed="$failed clang-tidy"
  fi
  [ -z "$failed" ] || die "lint found something:$failed"
}

check_format() {
  if ! cxx_files | xargs -r clang-format-19 --dry-run -Werror; then
    echo "To mend it: ./dev fmt"
    return 1
  fi
}

check_sources() {
  source_files '*' | xargs -r -d '\n' python3 tools/check_sources.py
}

check_shell() {
  # tools/dev/*.sh are parts of ./dev, and make sense only there.
  shellcheck --external-sources --check-sourced dev
  source_files '*.sh' '.ci/*' | grep -v '^tools/dev/' | xargs -r shellcheck --external-sources
}

check_tidy() {
  if ! configure_log=$(cmake --preset release 2>&1); then
    printf '%s\n' "$configure_log"
    return 1
  fi
  python3 tools/tidy.py --jobs "$jobs" --build build/release
}
