# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# ./dev test: goes through steps, each in a process of its own with its log in build/log/, and sums
# up.

all_steps="lint release gcc asan tsan defer fuzz vm nfs kv"
quick_steps="lint release"
# No single command of a step takes longer, unless it hangs.
command_limit_s=1500
# How a step says that it could not run here; ctest and automake use the same number.
skipped_status=77

help_test() {
  cat <<'END'
usage: ./dev test [--quick] [--only STEP[,STEP...]]

Runs what CI runs. A step that fails does not stop the others. Logs are kept in build/log/.

  lint      format, include rule, licence lines, shell scripts, clang-tidy
  release   release build; unit and integration tests
  gcc       the same sources with g++; unit tests
  asan      AddressSanitizer and UndefinedBehaviorSanitizer; unit tests
  tsan      ThreadSanitizer; unit and integration tests
  defer     no Op is ever ready at once, under AddressSanitizer; unit and integration tests
  fuzz      each fuzz target for FUZZ_SECONDS (10)
  vm        a stock Linux VM mounts what dpfs serves
  nfs       an NFS server behind dpfs mount: suites, locks, restarts, cuts (tests/nfs/run.py --all
            does more); needs root
  kv        key-value file systems: crashes, power failures, full and broken disks, a Valkey cluster
            (tests/kv/run.py --all does more); needs root

  ./dev test
  ./dev test --quick              lint and release only, lint without clang-tidy
  ./dev test --only asan,fuzz
  FUZZ_SECONDS=5 ./dev test --only fuzz
END
}

step_title() {
  case $1 in
    lint) echo "format, include rule, scripts, clang-tidy" ;;
    release) echo "release build, unit and integration tests" ;;
    gcc) echo "g++ build, unit tests" ;;
    asan) echo "address and undefined sanitizers, unit tests" ;;
    tsan) echo "thread sanitizer, all tests" ;;
    defer) echo "no Op ready at once, all tests" ;;
    fuzz) echo "fuzz targets, ${FUZZ_SECONDS:-10} s each" ;;
    vm) echo "a stock Linux VM mounts what dpfs serves" ;;
    nfs) echo "an NFS server behind dpfs, and what happens to it" ;;
    kv) echo "key-value file systems, and what happens to them" ;;
  esac
}

cmd_test() {
  wants_help "$@" && { help_test; return; }
  quick=""
  chosen=$all_steps
  reason=""
  while [ $# -gt 0 ]; do
    case $1 in
      --quick)
        quick=1
        chosen=$quick_steps
        reason="--quick"
        ;;
      --only | --only=*)
        case $1 in
          --only=*) list=${1#--only=} ;;
          *)
            [ $# -ge 2 ] || die "--only wants a list of steps: $all_steps"
            list=$2
            shift
            ;;
        esac
        chosen=$(printf '%s' "$list" | tr ',' ' ')
        reason="not in --only"
        ;;
      *) die "test does not know '$1'; see ./dev test --help" ;;
    esac
    shift
  done
  for step in $chosen; do
    case " $all_steps " in
      *" $step "*) ;;
      *) die "there is no step '$step'; the steps are: $all_steps" ;;
    esac
  done
  setup build check
  test_steps
}

# test_steps: runs $chosen of $all_steps in order.
test_steps() {
  mkdir -p build/log
  summary=build/log/summary.txt
  : >"$summary"
  passed=0 failed=0 skipped=0 number=0 count=0
  for step in $all_steps; do count=$((count + 1)); done
  test_begin=$(now)
  for step in $all_steps; do
    number=$((number + 1))
    case " $chosen " in
      *" $step "*) ;;
      *)
        skipped=$((skipped + 1))
        printf '%-8s skipped %8s  %s\n' "$step" "" "$reason" >>"$summary"
        continue
        ;;
    esac
    printf '[%d/%d] %s: %s\n' "$number" "$count" "$step" "$(step_title "$step")"
    test_step "$step"
  done
  print_summary
  [ "$failed" -eq 0 ]
}

# test_step STEP: runs it and notes what came of it in $summary and in the three counts.
test_step() {
  log="build/log/$1.log"
  rm -f "build/log/$1.detail" "build/log/$1.skips"
  step_begin=$(now)
  status=0
  DPFS_QUICK="$quick" "$root/dev" --step "$1" 3>&1 >"$log" 2>&1 </dev/null || status=$?
  took=$(duration $(($(now) - step_begin)))
  detail=""
  if [ -f "build/log/$1.detail" ]; then detail=$(tr '\n' ' ' <"build/log/$1.detail"); fi
  case $status in
    0)
      passed=$((passed + 1))
      result=passed
      ;;
    "$skipped_status")
      skipped=$((skipped + 1))
      result=skipped
      ;;
    *)
      failed=$((failed + 1))
      result=FAILED
      detail="see $log"
      printf '      --- the end of %s:\n' "$log"
      tail -n 60 "$log" | cut -c 1-400 | sed 's/^/      | /'
      ;;
  esac
  printf '      %s after %s\n' "$result" "$took"
  printf '%-8s %-7s %8s  %s\n' "$1" "$result" "$took" "$detail" >>"$summary"
}

print_summary() {
  echo
  skips=""
  for step in $chosen; do
    if [ -s "build/log/$step.skips" ]; then skips="$skips build/log/$step.skips"; fi
  done
  if [ -n "$skips" ]; then
    echo "Skipped inside of the steps:"
    # shellcheck disable=SC2086 # a list of files
    awk '
      FNR == 1 { step = FILENAME; gsub(/^.*\/|\.skips$/, "", step) }
      { if (!($0 in steps)) order[++n] = $0; steps[$0] = steps[$0] " " step }
      END { for (i = 1; i <= n; i++) printf "  %s (%s)\n", order[i], substr(steps[order[i]], 2) }
    ' $skips
    echo
  fi
  cat "$summary"
  printf 'total            %8s\n' "$(duration $(($(now) - test_begin)))"
  echo "$passed passed, $failed failed, $skipped skipped"
}

# phase TITLE COMMAND...: a part of a step. Its output goes to the log, its title and time to
# descriptor 3. COMMAND may be a function.
phase() {
  phase_title=$1
  shift
  phase_begin=$(now)
  printf '== %s: %s\n' "$phase_title" "$*"
  phase_status=0
  "$@" || phase_status=$?
  phase_took=$(duration $(($(now) - phase_begin)))
  case $phase_status in
    0) phase_result=ok ;;
    "$skipped_status") phase_result=skipped ;;
    *) phase_result=failed ;;
  esac
  printf '      %-28s %8s  %s\n' "$phase_title" "$phase_took" "$phase_result" >&3
  return "$phase_status"
}

# run_step NAME: what test_step calls, in a process of its own so that an error of one step ends
# only that step. Descriptor 3 is the terminal.
run_step() {
  case $1 in
    lint) lint "${DPFS_QUICK:-}" ;;
    # The integration tests go under AddressSanitizer with defer.
    gcc | asan) test_preset "$1" unit ;;
    release | tsan | defer) test_preset "$1" unit integration ;;
    fuzz) test_fuzz ;;
    vm) test_cases vm "virtual machine" ;;
    nfs) test_cases nfs "NFS server" ;;
    kv) test_cases kv "key-value store" ;;
  esac
}

# test_preset PRESET LABEL...: builds it and runs its tests that carry one of the labels.
test_preset() {
  preset=$1
  shift
  phase "build" limited build_preset "$preset"
  step_failed=0
  for label in "$@"; do
    phase "$label tests" run_tests "$preset" "$label" || step_failed=1
  done
  return "$step_failed"
}

# run_tests PRESET LABEL
run_tests() {
  status=0
  limited ctest --preset "$1" --label-regex "^$2\$" --parallel "$jobs" --no-tests=ignore ||
    status=$?
  record="build/$1/Testing/Temporary/LastTest.log"
  [ -f "$record" ] || return "$status"
  programs=$(grep -c '^[0-9]*/[0-9]* Testing: ' "$record" || true)
  tests=$(awk '/^\[=+\] [0-9]+ tests? from .* ran/ { n += $2 } END { print n + 0 }' "$record")
  echo "$tests $2 tests in $programs programs." >>"build/log/$1.detail"
  skipped_tests "$record" >>"build/log/$1.skips"
  if [ "$status" -ne 0 ]; then
    echo "== what failed, once more:"
    failed_tests "$record"
  fi
  return "$status"
}

# skipped_tests RECORD: each test that GoogleTest skipped and the reason it gave.
skipped_tests() {
  awk '
    /^\[ RUN      \]/ { name = $4; why = ""; reading = 0; next }
    /: Skipped$/ { reading = 1; next }
    /^\[  SKIPPED \]/ && $4 == name {
      print name ": " (why == "" ? "no reason given" : why)
      name = ""
      reading = 0
      next
    }
    reading && NF { why = why (why == "" ? "" : " ") $0 }' "$1"
}

# failed_tests RECORD: the claims that did not hold and what a sanitizer said.
failed_tests() {
  awk '
    function show() { for (i = 0; i < n; i++) print lines[i]; name = "" }
    /^\[ RUN      \]/ { name = $4; n = 0 }
    name != "" && n < 40 { lines[n++] = $0 }
    /^\[       OK \]|^\[  SKIPPED \]/ { name = "" }
    /^\[  FAILED  \]/ && name != "" { show() }
    /^<end of output>/ && name != "" {
      lines[n++] = "(the program ended, or was ended, inside of " name ")"
      show()
    }' "$1" |
    head -n 120
  grep -E -A 24 'ERROR: (Address|Leak)|WARNING: Thread|runtime error:' "$1" | head -n 120 || true
  grep -E '^(Test (Failed|Timeout)|.*\*\*\*(Failed|Timeout|Exception))' "$1" | head -n 20 || true
}

test_fuzz() {
  phase "build" limited build_preset fuzz fuzzers
  fuzz_count=$(fuzz_names | grep -c . || true)
  if [ "$fuzz_count" -eq 0 ]; then
    skip_step fuzz "there is no fuzz target yet"
  fi
  seconds=${FUZZ_SECONDS:-10}
  echo "$fuzz_count targets, $seconds s each" >build/log/fuzz.detail
  phase "run" fuzz_run all "$seconds"
}

# test_cases STEP TITLE: what tests/STEP/run.py does, in Python.
test_cases() {
  [ -f "tests/$1/run.py" ] || skip_step "$1" "tests/$1/run.py is not there"
  phase "build" limited build_preset release dpfs posix_suite broken_disk
  status=0
  phase "$2" limited python3 "tests/$1/run.py" --dpfs build/release/dpfs || status=$?
  # The summary repeats each case that was skipped: SKIPPED, its name, a colon and the reason.
  sed -n '/^== summary/,$ s/^SKIPPED *//p' "build/log/$1.log" >"build/log/$1.skips"
  if [ "$status" -eq "$skipped_status" ]; then
    skip_step "$1" "$(sed -n '1 s/^[^:]*: //p' "build/log/$1.skips")"
  fi
  tail -n 1 "build/log/$1.log" >"build/log/$1.detail"
  return "$status"
}

# skip_step STEP REASON: ends this step.
skip_step() {
  echo "$2" | tee "build/log/$1.detail"
  exit "$skipped_status"
}

# limited COMMAND...: ends it when it hangs. Functions cannot be given to timeout, so they are
# called through ./dev.
limited() {
  case $1 in
    build_preset)
      shift
      timeout -k 10 "$command_limit_s" "$root/dev" --build "$@"
      ;;
    *) timeout -k 10 "$command_limit_s" "$@" ;;
  esac
}
