# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Installs what is missing from Debian's packages. One call of dpkg-query when nothing is.

help_setup() {
  cat <<'END'
usage: ./dev setup [GROUP...]

Installs the Debian packages that are missing, as root or with sudo, and says which. Groups: build
(to compile) and check (linters, sanitizers, fuzzers); without one, both. They are listed in
tools/dev/packages.txt. Other commands do this by themselves, but for the group suites (what ./dev
suites runs).

What the VM needs (QEMU, a kernel) is never installed: tools/rig/fetch.py unpacks it into a cache.

  ./dev setup
  ./dev setup build
END
}

cmd_setup() {
  wants_help "$@" && { help_setup; return; }
  [ $# -gt 0 ] || set -- build check
  setup "$@"
  say "everything needed is installed"
}

# setup GROUP...
setup() {
  wanted=$(package_names "$@")
  if ! command -v dpkg-query >/dev/null 2>&1; then
    command -v cmake >/dev/null 2>&1 ||
      die "this is no Debian; please install what tools/dev/packages.txt lists"
    return 0
  fi
  missing=$(missing_packages "$wanted")
  [ -n "$missing" ] || return 0
  [ -z "${DPFS_NO_SETUP:-}" ] || die "missing packages (and DPFS_NO_SETUP is set):$missing"
  say "installing$missing"
  install_packages "$missing"
}

# package_names GROUP...: one line per package, its other names on the same line.
package_names() {
  for group in "$@"; do
    awk -v group="$group" '$1 == group { $1 = ""; print substr($0, 2) }' tools/dev/packages.txt
  done
}

# missing_packages LINES: the first name of each line of which no name is installed.
missing_packages() {
  # dpkg-query fails for names it does not know, and still prints the others.
  # shellcheck disable=SC2086 # a list of words
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' $1 2>/dev/null |
    sed -n 's/^ii *//p' || true)
  printf '%s\n' "$1" | awk -v installed="$installed" '
    BEGIN { split(installed, names, "\n"); for (i in names) have[names[i]] = 1 }
    NF { for (i = 1; i <= NF; i++) if ($i in have) next; printf " %s", $1 }'
}

# install_packages WORDS: the package lists are fetched only when the ones at hand do not do.
install_packages() {
  if [ "$(id -u)" -eq 0 ]; then
    as_root=""
  elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo"
  else
    die "missing packages, and neither root nor sudo to install them. As root: apt-get install$1"
  fi
  packages=$(known_names "$1")
  # shellcheck disable=SC2086 # a list of words
  if ! apt_get --simulate install $packages >/dev/null 2>&1; then
    update_lists
    packages=$(known_names "$1")
  elif apt_get install $packages; then
    return 0
  else
    say "that failed; trying again with fresh package lists"
    update_lists
  fi
  # shellcheck disable=SC2086
  apt_get install $packages || die "apt-get could not install:$1"
}

update_lists() {
  say "fetching the package lists"
  apt_get update || die "apt-get update failed; is the network there?"
}

# known_names WORDS: each package by the first of its names that apt knows.
known_names() {
  for package in $1; do
    name=$package
    names=$(awk -v name="$package" '$2 == name { $1 = ""; print; exit }' tools/dev/packages.txt)
    for candidate in $names; do
      if apt-cache show --no-all-versions "$candidate" >/dev/null 2>&1; then
        name=$candidate
        break
      fi
    done
    printf '%s ' "$name"
  done
}

apt_get() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=3 --no-install-recommends "$@"
}
