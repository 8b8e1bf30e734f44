# SPDX-License-Identifier: Apache-2.0
"""The daemon behind the device, as a child: dpfs, or virtiofsd to compare with."""
import os
import pathlib
import queue
import re
import signal
import threading
import time

from child import Child

START_TIMEOUT_S = 20


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


class Daemon:
    """A running daemon. Its lines are kept in `log` and given to `on_line`."""

    def __init__(self, command, socket_path, on_line=None):
        self.socket_path = pathlib.Path(socket_path)
        self.log = []
        self.child = Child(command, pathlib.Path(command[0]).name)
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
            if listens(self.socket_path):
                return
            time.sleep(0.02)
        self.close()
        raise DaemonError(f"no socket {self.socket_path} after {START_TIMEOUT_S} s")

    def running(self):
        return self.child.running()

    def descriptors(self):
        """What each open descriptor is, numbers and addresses left out, sorted."""
        found = []
        folder = f"/proc/{self.pid}/fd"
        for name in os.listdir(folder):
            try:
                found.append(re.sub(r"\[\d+\]", "", os.readlink(f"{folder}/{name}")))
            except OSError:
                pass  # Closed meanwhile.
        return sorted(found)

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def processor_s(self):
        """Seconds of processor time of all its threads."""
        total_ns = 0
        for schedstat in pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                total_ns += int(schedstat.read_text().split()[0])
            except OSError:
                pass  # The thread ended meanwhile.
        return total_ns / 1e9

    def print_counters(self):
        """Asks a dpfs for its devices' counters: SIGUSR1 makes it log them. Returns the new lines.

        Only for a daemon that says it knows the signal: any other is ended by it.
        """
        before = len(self.log)
        self.child.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 2
        while len(self.log) == before and self.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.log[before:]

    def terminate(self, timeout_s=10):
        """SIGTERM; returns (exit status, seconds it took). A negative status is a signal's."""
        result = self.child.terminate(timeout_s)
        self._logger.join(5)
        return result

    def close(self):
        self.child.close()


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
