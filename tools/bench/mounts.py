# SPDX-License-Identifier: Apache-2.0
"""Directories to measure on: mounted by a daemon, or as they are."""
import contextlib
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
from child import Child  # noqa: E402  the rig's

START_TIMEOUT_S = 20
ENABLE_URING = pathlib.Path("/sys/module/fuse/parameters/enable_uring")


class MountError(Exception):
    """A daemon that does not do what it should."""


class Bare:
    """The directory itself."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def processor_s(self):
        return 0.0


class Mount:
    """`command` mounts on `folder` and stays in the foreground. Unmounted, it ends within `end_s`."""

    def __init__(self, command, folder, end_s=5):
        self.folder = folder
        self.end_s = end_s
        self.command = command
        self.child = None
        self.device = None

    def __enter__(self):
        self.child = Child([str(word) for word in self.command], pathlib.Path(self.command[0]).name)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_mounted(self.folder):
            if not self.child.running() or time.monotonic() > deadline:
                said = self.said()
                self.close()
                raise MountError(f"{self.command[0]} does not mount: {said}")
            time.sleep(0.01)
        self.device = os.minor(os.stat(self.folder).st_dev)
        return self

    def __exit__(self, *_):
        self.close()

    def said(self):
        lines = []
        while not self.child.lines.empty():
            lines.append(self.child.lines.get()[1] or "")
        return "; ".join(line for line in lines if line.strip()) or "without a word"

    def processor_s(self):
        """Of the whole process: threads that have ended count, too (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def close(self):
        for options in ([], ["-l"]):
            if not is_mounted(self.folder):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(["umount", *options, self.folder], timeout=10, capture_output=True)
        if self.child.wait(self.end_s) is None:
            # It hangs: whoever waits for it gets an error.
            abort = pathlib.Path(f"/sys/fs/fuse/connections/{self.device}/abort")
            with contextlib.suppress(OSError):
                abort.write_text("1")
            self.child.terminate()
        self.child.close()


def is_mounted(folder):
    # Not os.path.ismount: it would ask the file system.
    return any(line.split()[4] == str(folder)
               for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())


@contextlib.contextmanager
def fuse_over_io_uring():
    """Lets the kernel offer it for new mounts, and puts the switch back. True where it does."""
    try:
        before = ENABLE_URING.read_text().strip()
        if before != "Y":
            ENABLE_URING.write_text("Y")
    except OSError:  # an older kernel, or no right to
        yield False
        return
    try:
        yield True
    finally:
        if before != "Y":
            ENABLE_URING.write_text(before)
