# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs archives ('newc' cpio). A file may hold several, all get unpacked."""
import io
import pathlib
import stat


class Archive:
    """Collects entries. Paths have no leading slash; folders come before what lies in them."""

    def __init__(self):
        self.out = io.BytesIO()
        self.folders = set()
        self.count = 0

    def folder(self, path):
        path = path.strip("/")
        if not path or path in self.folders:
            return
        self.folder(str(pathlib.PurePosixPath(path).parent).strip("."))
        self.folders.add(path)
        self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        self.folder(str(pathlib.PurePosixPath(path).parent).strip("."))
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.folder(str(pathlib.PurePosixPath(path).parent).strip("."))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path, major, minor):
        self.folder(str(pathlib.PurePosixPath(path).parent).strip("."))
        self._entry(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))
        return self.out.getvalue()

    def _entry(self, path, mode, data=b"", device=(0, 0)):
        name = path.encode() + b"\0"
        self.count += 1
        # inode, mode, uid, gid, links, mtime, size, major, minor, device, name size, checksum
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self.out.write(b"\0" * (-self.out.tell() % 4))
        self.out.write(data)
        self.out.write(b"\0" * (-self.out.tell() % 4))
