# SPDX-License-Identifier: Apache-2.0
"""The daemon behind the device, as a child: dpfs, or virtiofsd to compare with."""
import dataclasses
import os
import pathlib
import queue
import re
import signal
import threading
import time

from child import Child

START_TIMEOUT_S = 20
# "share: read   21484 requests   0 errors   621771819 bytes"
COUNTER_LINE = re.compile(r"(\S+): (\w+)\s+(\d+) requests\s+(\d+) errors\s+(\d+) bytes")


class DaemonError(Exception):
    """The daemon does not do what it should."""


def dpfs_command(program, *, socket_path, tag, url, queues=None, extra=()):
    command = [str(program), "serve", "--socket", str(socket_path), "--tag", tag]
    if queues:
        command += ["--queues", str(queues)]
    return [*command, *extra, url]


def virtiofsd_command(kit, *, socket_path, folder):
    # Without a sandbox: it wants namespaces, which containers often refuse.
    return kit.virtiofsd("--socket-path", socket_path, "--shared-dir", folder, "--sandbox", "none",
                         "--inode-file-handles=prefer", "--log-level", "warn", "--xattr")


@dataclasses.dataclass
class Counter:
    """What a device did of one operation."""
    tag: str
    operation: str
    requests: int
    errors: int
    size: int


class Daemon:
    """A running daemon. Its lines are kept in `log` and given to `on_line`."""

    def __init__(self, command, socket_path, on_line=None, pass_fds=()):
        self.socket_path = pathlib.Path(socket_path)
        self.log = []
        self.command = command
        self.child = Child(command, pathlib.Path(command[0]).name, pass_fds)
        self.pid = self.child.pid
        self._logger = threading.Thread(target=self._collect, args=(on_line,), daemon=True)
        self._logger.start()
        self._wait_until_it_listens()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _collect(self, on_line):
        while True:
            stream, text = self.child.lines.get()
            if stream is None:
                return
            self.log.append(text)
            if on_line:
                on_line(text)

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running():
                self._logger.join(2)
                self.close()
                said = next((text for text in self.log if text.strip()), "without a word")
                raise DaemonError(f"the daemon ended at once: {said}")
            if listens(self.socket_path) and self._is_ready():
                return
            time.sleep(0.02)
        self.close()
        raise DaemonError(f"no socket {self.socket_path} after {START_TIMEOUT_S} s")

    def _is_ready(self):
        """dpfs makes its sockets first, confines itself, and then opens what it serves."""
        if not {"serve", "virtiofsd"} & set(self.command):
            return True
        return any("ready: " in text for text in self.log)

    def running(self):
        return self.child.running()

    def serving_pid(self):
        """Of the process that serves: where it is confined, the child of the one we started."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/children"):
            children = task.read_text().split()
            if children:
                return int(children[0])
        return self.pid

    def descriptors(self):
        """What each open descriptor is, numbers and addresses left out, sorted."""
        found = []
        folder = f"/proc/{self.serving_pid()}/fd"
        for name in os.listdir(folder):
            try:
                found.append(re.sub(r"\[\d+\]", "", os.readlink(f"{folder}/{name}")))
            except OSError:
                pass  # Closed meanwhile.
        return sorted(found)

    def threads(self):
        """How many it started. The kernel's io_uring workers, which come and go, do not count."""
        names = []
        for path in pathlib.Path(f"/proc/{self.serving_pid()}/task").glob("*/comm"):
            try:
                names.append(path.read_text().strip())
            except OSError:
                pass  # The thread ended meanwhile.
        return sum(1 for name in names if not name.startswith("iou-"))

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.serving_pid()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def processor_s(self):
        """Seconds of processor time of all its threads."""
        total_ns = 0
        for schedstat in pathlib.Path(f"/proc/{self.serving_pid()}/task").glob("*/schedstat"):
            try:
                total_ns += int(schedstat.read_text().split()[0])
            except OSError:
                pass  # The thread ended meanwhile.
        return total_ns / 1e9

    def ask_counters(self):
        """The counters of a dpfs, which logs them on SIGUSR1. Any other daemon would end by it."""
        before = len(self.log)
        self.child.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 3
        seen = before
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.1)
            # Its lines come together: complete when some came and no more do.
            if len(self.log) == seen > before:
                break
            seen = len(self.log)
        return parse_counters(self.log[before:])

    def terminate(self, timeout_s=10):
        """SIGTERM; returns (exit status, seconds it took). A negative status is a signal's."""
        result = self.child.terminate(timeout_s)
        self._logger.join(5)
        return result

    def close(self):
        self.child.close()


def parse_counters(lines):
    """What dpfs logs of each device and operation, in its order."""
    return [Counter(match[1], match[2], *map(int, match.groups()[2:])) for line in lines
            if (match := COUNTER_LINE.search(line))]


def listens(path):
    """Whether a socket of that path listens. Does not connect: virtiofsd serves but one client."""
    if not path.is_socket():
        return False
    listening = "00010000"  # __SO_ACCEPTCON, the flags' column
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[7] == str(path) and fields[3] == listening:
            return True
    return False
