# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Files that are renamed, replaced, linked and unlinked while they are open.
# Renamed while open: the descriptor follows the file.
exec 3>before
echo one >&3
mv before renamed
echo two >&3
exec 3>&-
same "renamed while open" "$(cat renamed)" "one
two"

# Unlinked while open: it can still be read and written, and its name is free again.
echo kept >unlinked
exec 4<unlinked
exec 5>>unlinked
rm unlinked
[ ! -e unlinked ] || die "the name is still there"
echo more >&5
drop_caches
same "read after unlink" "$(cat <&4)" "kept
more"
same "links after unlink" "$(stat -L -c %h /proc/self/fd/5)" 0
echo another >unlinked
same "the name's new file" "$(cat unlinked)" another
rm unlinked
exec 4<&- 5>&-

# Replaced by a rename while open: the old reader keeps the old file.
echo old >target
echo new >source
exec 6<target
mv source target
drop_caches
same "the open one" "$(cat <&6)" old
same "the new one" "$(cat target)" new
exec 6<&-

# A working directory that is renamed, and one that is removed.
mkdir folder_before
(
  cd folder_before || exit 1
  echo inside >file
  mv ../folder_before ../folder_after
  same "read in a renamed folder" "$(cat file)" inside
  echo again >file
)
same "through its new name" "$(cat folder_after/file)" again
mkdir gone
(
  cd gone || exit 1
  rmdir ../gone
  if (echo x >file) 2>/dev/null; then die "a file was made in a removed folder"; fi
)

# Many open at once, all unlinked.
mkdir many
for number in $(seq 1 200); do echo "$number" >"many/$number"; done
tail -f many/* >/dev/null 2>&1 &
reader=$!
sleep 1
rm -r many
kill $reader
wait $reader || true
[ ! -e many ] || die "a folder of unlinked files is still there"
