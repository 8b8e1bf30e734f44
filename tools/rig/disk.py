# SPDX-License-Identifier: Apache-2.0
"""A small file system of its own, in a file: what a server exports, and what may become full."""
import fcntl
import os
import pathlib
import struct
import subprocess

MIB = 1 << 20
# FS_IOC_SHUTDOWN of linux/fs.h: from now on nothing is written, not even the journal.
SHUTDOWN = 0x8004587D
WITHOUT_A_FLUSH = 2


class DiskError(Exception):
    """Why there is no such file system here."""


def run(*command):
    """Its output. DiskError with what it complained of when it fails."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise DiskError(f"{pathlib.Path(command[0]).name}: {said[-1] if said else 'failed'}")
    return done.stdout


class Disk:
    """An image in `folder`, formatted and mounted at `path`. Needs root.

    kind        ext4 or btrfs
    quota_mib   how much may be written before EDQUOT. By btrfs, whose quotas are part of it: those
                of ext4 need a module that many kernels were built without.
    """

    def __init__(self, kit, folder, *, kind="ext4", size_mib=1024, quota_mib=None):
        if os.geteuid() != 0:
            raise DiskError("only root may mount a file system")
        self.image = pathlib.Path(folder) / "disk.image"
        self.path = pathlib.Path(folder) / "disk"
        self.mounted = False
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size_mib * MIB)
        try:
            if quota_mib is None and kind == "ext4":
                # Everything for data: no blocks that only root may use, nothing left to do later.
                run(*kit.command("usr/sbin/mkfs.ext4", "-q", "-m", 0, "-E",
                                 "lazy_itable_init=0,nodiscard", self.image))
            else:
                run(*kit.command("usr/sbin/mkfs.btrfs", "-q", "--mixed", self.image))
            run("mount", "-o", "loop", self.image, self.path)
            self.mounted = True
            if quota_mib is not None:
                self._limit(kit, quota_mib)
        except BaseException:
            self.close()
            raise

    def _limit(self, kit, quota_mib):
        btrfs = kit.command("usr/bin/btrfs")
        run(*btrfs, "quota", "enable", self.path)
        run(*btrfs, "qgroup", "limit", quota_mib * MIB, self.path)

    def shut_down(self):
        """As if the power went: nothing more reaches the disk, and who works there gets errors."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_A_FLUSH))
        finally:
            os.close(folder)

    def mount_again(self):
        """After shut_down(), with nobody there any more: what had not been synchronized is gone."""
        device = self._device()
        # Held meanwhile, or the loop device would go with the mount; file handles name its number.
        held = os.open(device, os.O_RDONLY)
        try:
            run("umount", self.path)
            self.mounted = False
            run("mount", device, self.path)
            self.mounted = True
        finally:
            os.close(held)

    def _device(self):
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[4] == str(self.path):
                return fields[fields.index("-") + 2]
        raise DiskError(f"{self.path} is not mounted")

    def close(self):
        if self.mounted:
            # Who still works there is not waited for: the folder is going to be removed.
            subprocess.run(["umount", "--lazy", str(self.path)], check=False)
            self.mounted = False
        self.image.unlink(missing_ok=True)
