# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What all commands of ./dev share: messages, lists of files, configuring and building a preset.

presets="release gcc debug asan tsan defer fuzz"
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
export CMAKE_BUILD_PARALLEL_LEVEL="$jobs"

# Sanitizer reports name functions only where they find a symbolizer.
for symbolizer in /usr/bin/llvm-symbolizer-19 /usr/lib/llvm-19/bin/llvm-symbolizer; do
  if [ -x "$symbolizer" ]; then
    export ASAN_SYMBOLIZER_PATH="$symbolizer" TSAN_SYMBOLIZER_PATH="$symbolizer"
    export UBSAN_SYMBOLIZER_PATH="$symbolizer"
    break
  fi
done

say() { printf 'dev: %s\n' "$*"; }

die() {
  printf 'dev: error: %s\n' "$*" >&2
  exit 2
}

wants_help() {
  for argument in "$@"; do
    case $argument in -h | --help) return 0 ;; esac
  done
  return 1
}

known_preset() {
  case " $presets " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# Files of the repository that match the patterns: tracked ones and new ones, but nothing ignored.
# Without git (a tarball) everything outside of build/.
source_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
      # Deleted, but not yet committed.
      if [ -f "$file" ]; then printf '%s\n' "$file"; fi
    done
  else
    for pattern in "$@"; do
      find . -path ./build -prune -o -type f -path "./$pattern" -print | sed 's|^\./||'
    done | sort -u
  fi
}

cxx_files() { source_files '*.cc' '*.h'; }

# build_preset PRESET [TARGET...]
build_preset() {
  preset=$1
  shift
  if ! configure_log=$(cmake --preset "$preset" 2>&1); then
    printf '%s\n' "$configure_log" >&2
    return 1
  fi
  if [ $# -eq 0 ]; then
    cmake --build --preset "$preset"
  else
    cmake --build --preset "$preset" --target "$@"
  fi
}

now() { date +%s; }

# duration SECONDS: 95 becomes 1m35s
duration() { printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); }
