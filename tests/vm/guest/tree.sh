# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A tree of 20,000 small files: unpacked, checked by the host, listed, removed.
begin=$(uptime_s)
tar xf tree.tar || die "tar"
note "unpacked after $(echo "$begin $(uptime_s)" | awk '{ printf "%.1f s", $2 - $1 }')"
same "the host's check" "$(ask unpacked)" ok
drop_caches
begin=$(uptime_s)
same "files found" "$(find tree -type f | wc -l)" 20000
note "listed after $(echo "$begin $(uptime_s)" | awk '{ printf "%.1f s", $2 - $1 }')"
begin=$(uptime_s)
rm -r tree || die "rm -r"
note "removed after $(echo "$begin $(uptime_s)" | awk '{ printf "%.1f s", $2 - $1 }')"
[ ! -e tree ] || die "the tree is still there"
