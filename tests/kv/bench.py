# SPDX-License-Identifier: Apache-2.0
"""What the cases work with: a folder, mounts, fsck; all of it ends with the case."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile

from clients import CheckError, Mounted, check

TOOL_TIMEOUT_S = 120


class Bench:
    """A scratch folder for one case."""

    def __init__(self, report, options):
        self.report = report
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-kv-"))
        self._stack = contextlib.ExitStack()
        self._mounts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def enter(self, thing):
        """Ends with the case."""
        return self._stack.enter_context(thing)

    def url(self):
        """Of a file system in the folder, which --create makes."""
        return f"kv+rocksdb:{self.folder}/database"

    def mount(self, url, name="mnt", *, options=("--create",), environment=(), ready=True):
        wrap = ["env", *environment] if environment else []
        mounted = self.enter(Mounted(self.options.dpfs, url, self.folder / name, options,
                                     lambda command: [*wrap, *command]))
        self._mounts.append(mounted)
        if ready:
            mounted.wait_until_ready()
        return mounted

    def tell_logs(self):
        """What the last daemons said, for the report of a failure."""
        for mounted in self._mounts[-2:]:
            for text in mounted.log[-12:]:
                self.report.line(mounted.path.name, text)

    def fsck(self, url, *options):
        """CheckError where there is damage; garbage is none. Returns what it found."""
        command = [str(self.options.dpfs), "kv", "fsck", "--json", *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S,
                              check=False)
        said = (done.stdout + done.stderr).strip()
        check(done.returncode == 0, f"fsck says {done.returncode}: {said[-600:]}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise CheckError(f"fsck --json says {said[:200]!r}") from None

    def has_fsck(self):
        return subprocess.run([self.options.dpfs, "kv", "fsck", "--help"], capture_output=True,
                              timeout=TOOL_TIMEOUT_S, check=False).returncode == 0
