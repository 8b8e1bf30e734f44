# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Builds and runs the libFuzzer targets. Seeds are in fuzz/corpus/TARGET/, what a run learns stays
# in build/fuzz/corpus/.

help_fuzz() {
  cat <<'END'
usage: ./dev fuzz [TARGET|all] [SECONDS]
       ./dev fuzz --list

Runs one fuzz target, or all of them side by side, each for SECONDS (default: $FUZZ_SECONDS, else
60).
An input that crashes is kept in build/fuzz/crashes/. To see it again: build/fuzz/fuzz/TARGET FILE

  ./dev fuzz --list
  ./dev fuzz                       all targets, a minute each
  ./dev fuzz session_fuzz 3600
  ./dev fuzz all 10
END
}

cmd_fuzz() {
  wants_help "$@" && { help_fuzz; return; }
  if [ "${1:-}" = --list ]; then
    fuzz_names
    return
  fi
  target=${1:-all}
  seconds=${2:-${FUZZ_SECONDS:-60}}
  case $seconds in '' | *[!0-9]*) die "SECONDS must be a number, not '$seconds'" ;; esac
  setup build check
  fuzz_run "$target" "$seconds"
}

fuzz_names() {
  source_files 'src/*_fuzz.cc' 'fuzz/*_fuzz.cc' | sed 's|.*/||; s|\.cc$||' | sort
}

# fuzz_run TARGET|all SECONDS
fuzz_run() {
  targets=$(fuzz_names)
  if [ "$1" != all ]; then
    printf '%s\n' "$targets" | grep -qx "$1" ||
      die "there is no fuzz target '$1'; './dev fuzz --list' shows all"
    targets=$1
  fi
  [ -n "$targets" ] || die "there is no fuzz target yet"
  build_preset fuzz fuzzers
  printf '%s\n' "$targets" | FUZZ_SECONDS="$2" xargs -P "$jobs" -n 1 "$root/dev" --fuzz-target
}

# fuzz_target TARGET: one target for FUZZ_SECONDS, its output in build/log/TARGET.log.
fuzz_target() {
  target=$1
  corpus="build/fuzz/corpus/$target"
  log="build/log/$target.log"
  mkdir -p "$corpus" build/fuzz/crashes build/log
  set -- "-max_total_time=$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    "-artifact_prefix=build/fuzz/crashes/$target-"
  if [ -f "fuzz/$target.dict" ]; then set -- "$@" "-dict=fuzz/$target.dict"; fi
  set -- "$@" "$corpus"
  if [ -d "fuzz/corpus/$target" ]; then set -- "$@" "fuzz/corpus/$target"; fi
  if "build/fuzz/fuzz/$target" "$@" >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-28s %s runs in %s s, no crash\n' "$target" "${runs:-?}" "$FUZZ_SECONDS"
  else
    printf '%-28s CRASHED; the whole log is %s\n' "$target" "$log"
    grep -E -A 20 'ERROR:|runtime error|deadly signal' "$log" | head -n 40
    grep 'Test unit written to' "$log" || true
    return 1
  fi
}
