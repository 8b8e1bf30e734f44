# SPDX-License-Identifier: Apache-2.0
"""A child process whose output is read line by line, and which never outlives its parent."""
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time


class Child:
    """Runs `command`. `lines` gets what it says as (stream, text), and (None, None) at the end."""

    def __init__(self, command, name, pass_fds=()):
        self.name = name
        self.lines = queue.SimpleQueue()
        # When the parent is killed, nothing is left behind. Keeps the process id: setpriv execs.
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, pass_fds=pass_fds)
        self.pid = self.process.pid
        self._open_streams = 2
        self._mutex = threading.Lock()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, kind), daemon=True)
            for stream, kind in ((self.process.stdout, "out"), (self.process.stderr, "err"))]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, kind):
        with stream:
            for line in stream:
                self.lines.put((kind, line.decode(errors="replace").rstrip()))
        with self._mutex:
            self._open_streams -= 1
            if self._open_streams == 0:
                self.lines.put((None, None))

    def send(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def running(self):
        return self.process.poll() is None

    def wait(self, timeout_s):
        """The exit status (negative: the signal), or None when it still runs."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, timeout_s=10):
        """SIGTERM, and SIGKILL when that does not help. Returns (exit status, seconds it took)."""
        begin = time.monotonic()
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        if self.wait(timeout_s) is None:
            self.kill()
        return self.process.returncode, time.monotonic() - begin

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def close(self):
        """Ends it without asking and joins the readers."""
        self.kill()
        for reader in self._readers:
            reader.join(5)
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass


def exit_on_signals():
    """Makes SIGTERM and SIGHUP end the program as an exception does: every 'finally' runs."""
    def leave(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
