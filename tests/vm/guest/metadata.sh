# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Names, links, modes, owners, times, attributes and the errors a program expects.
same "names" "$(find from_host -mindepth 1 -print0 | tr -dc '\0' | wc -c)" 3
same "a name in UTF-8" "$(cat 'from_host/äöü – 文件')" name
same "a long name" "$(cat from_host/nnnn*)" long
same "a name with a line break" "$(cat 'from_host/line
break')" break

echo content >file
chmod 640 file
# Only a daemon that is root can give files away.
if [ "$DAEMON_IS_ROOT" = 1 ]; then owner=1234:5678; else owner=$(stat -c %u:%g file); fi
chown "$owner" file
touch -d @1000000000 file
ln file hardlink
same "link count" "$(stat -c %h file)" 2
same "one inode" "$(stat -c %i file)" "$(stat -c %i hardlink)"
ln -s '../anywhere/at all' symlink
same "link target" "$(readlink symlink)" '../anywhere/at all'
mkfifo fifo
(echo through >fifo &)
same "fifo" "$(cat fifo)" through
same "mode, owner, time" "$(stat -c '%a %u:%g %Y' file)" "640 $owner 1000000000"

long=$(head -c 255 /dev/zero | tr '\0' g)
echo long >"$long"
if (echo x >"${long}g") 2>/dev/null; then die "a name of 256 bytes was accepted"; fi
echo name >'größe – 文件'

if [ "$HAS_ATTRIBUTES" = 1 ]; then
  setfattr -n user.colour -v blue file || die "setfattr"
  same "attribute" "$(getfattr -n user.colour file | grep -o 'blue')" blue
  setfattr -x user.colour file
  if getfattr -n user.colour file >/dev/null 2>&1; then die "the attribute is still there"; fi
else
  note "the host's file system has no extended attributes: none tried"
fi

mkdir -p deep/a/b/c/d
echo d >deep/a/b/c/d/file
if rmdir deep 2>/dev/null; then die "a folder with content was removed"; fi
mv deep/a/b moved
same "a moved folder" "$(cat moved/c/d/file)" d
if mv moved moved/c/d 2>/dev/null; then die "a folder was moved into itself"; fi
if mkdir moved 2>/dev/null; then die "mkdir over a folder"; fi
rm -r moved deep
if cat missing 2>/dev/null; then die "a missing file was read"; fi
df -i . >/dev/null
