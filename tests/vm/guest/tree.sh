# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A tree of 20,000 small files: unpacked, checked by the host, listed, removed.
begin=$(uptime_s)
mkdir tree
tars=
for archive in part*.tar; do
  tar xf "$archive" &
  tars="$tars $!"
done
for process in $tars; do
  wait "$process" || die "a tar failed"
done
note "unpacked after $(since "$begin")"
same "the host's check" "$(ask unpacked)" ok
drop_caches
begin=$(uptime_s)
same "files found" "$(find tree -type f | wc -l)" 20000
note "listed after $(since "$begin")"
begin=$(uptime_s)
rms=
for part in tree/*; do
  rm -r "$part" &
  rms="$rms $!"
done
for process in $rms; do
  wait "$process" || die "an rm failed"
done
rmdir tree || die "something is left in the tree"
note "removed after $(since "$begin")"
[ ! -e tree ] || die "the tree is still there"
