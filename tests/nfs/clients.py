# SPDX-License-Identifier: Apache-2.0
"""What the cases work with: a server, its mounts, loads on them; nothing here can hang for ever."""
import contextlib
import json
import multiprocessing
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from child import Child
from ganesha import Ganesha

HERE = pathlib.Path(__file__).resolve().parent
MOUNT_TIMEOUT_S = 20
# More than any case makes a client wait: a grace period, a lease, retries.
STEP_TIMEOUT_S = 60
# How long a mount may need to end: requests that hang are given 10 s.
END_TIMEOUT_S = 20


class CheckError(Exception):
    """What was found wrong."""


class Skip(Exception):
    """Why a case cannot run here."""


def check(holds, sentence):
    if not holds:
        raise CheckError(sentence)


def within(timeout_s, function, *arguments):
    """The function's result, from a process of its own that may hang on a mount without harm.

    An OSError of the function is raised here, too.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def answer():
        try:
            theirs.send((function(*arguments), None))
        except (OSError, CheckError) as error:
            theirs.send((None, error))

    process = context.Process(target=answer, daemon=True)
    process.start()
    if not ours.poll(timeout_s):
        process.kill()
        raise CheckError(f"{getattr(function, '__name__', 'it')} took more than {timeout_s} s")
    try:
        result, error = ours.recv()
    except EOFError:
        result, error = None, CheckError("the process that tried it died")
    process.join(5)
    if error:
        raise error
    return result


def wait_until(holds, timeout_s, sentence):
    """Returns how long it took."""
    begin = time.monotonic()
    while not holds():
        check(time.monotonic() - begin < timeout_s, f"{sentence} within {timeout_s} s")
        time.sleep(0.05)
    return time.monotonic() - begin


class Mounted:
    """`dpfs mount` in the foreground. `log` has its lines."""

    def __init__(self, program, url, path, options=(), wrap=lambda command: command):
        self.path = pathlib.Path(path)
        self.path.mkdir(exist_ok=True)
        self.log = []
        command = [str(program), "mount", "--foreground", *options, url, str(self.path)]
        self.child = Child(wrap(command), "dpfs")
        self.pid = self.child.pid
        self._logger = threading.Thread(target=self._collect, daemon=True)
        self._logger.start()

    def _collect(self):
        while True:
            stream, text = self.child.lines.get()
            if stream is None:
                return
            self.log.append(text)

    def ready(self):
        return any("ready: " in text for text in self.log)

    def wait_until_ready(self, timeout_s=MOUNT_TIMEOUT_S):
        def settled():
            return self.ready() or not self.child.running()
        took = wait_until(settled, timeout_s, f"{self.path.name} was not mounted")
        if not self.ready():
            self._logger.join(2)
            raise CheckError(f"dpfs mount ended: {self.last_words()}")
        return took

    def has_logged(self, pattern):
        return any(re.search(pattern, text) for text in self.log)

    def last_words(self):
        words = [text for text in self.log if not re.search(r" \d+ requests +\d+ errors", text)]
        return " / ".join(words[-4:]) or "without a word"

    def connection(self):
        """The number of the FUSE connection, or None when it is not mounted."""
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[4] == str(self.path):
                return fields[2].partition(":")[2]
        return None

    def end(self):
        """As an administrator does. Returns the exit status; CheckError when it does not end."""
        status, _ = self.child.terminate(END_TIMEOUT_S)
        return status

    def kill(self):
        """As a crash does; the mount point stays until close()."""
        self.child.kill()

    def close(self):
        """Whatever happened: no process, no mount."""
        connection = self.connection()
        if self.child.running():
            self.child.terminate(END_TIMEOUT_S)
        if connection and self.connection():
            with contextlib.suppress(OSError):
                pathlib.Path(f"/sys/fs/fuse/connections/{connection}/abort").write_text("1")
        self.child.close()
        while self.connection():
            subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Load:
    """A load.py at work in a directory."""

    def __init__(self, kind, folder, journal, seed=1):
        self.kind = kind
        self.folder = pathlib.Path(folder)
        self.journal = pathlib.Path(journal)
        self.child = Child([sys.executable, str(HERE / "load.py"), kind, str(folder), "--journal",
                            str(journal), "--seed", str(seed)], kind)
        self._lines = []

    def _read(self, timeout_s):
        _, text = self.child.lines.get(timeout=timeout_s)
        if text:
            self._lines.append(text)
        return text

    def progress(self):
        """How many acknowledgements it has noted."""
        try:
            text = self.journal.read_text()
        except FileNotFoundError:
            return 0
        return len(re.findall(r'^\["(?:acknowledged|lines|made)"', text, re.MULTILINE))

    def stop(self, timeout_s=STEP_TIMEOUT_S):
        """What it said at its end, as a dictionary."""
        self.child.send("stop")
        status = self.child.wait(timeout_s)
        check(status is not None, f"{self.kind}: hangs, {timeout_s} s after it was told to stop")
        while self._read(5) is not None:
            pass
        try:
            return json.loads(self._lines[-1])
        except (IndexError, ValueError):
            raise CheckError(f"{self.kind}: {' / '.join(self._lines[-3:])}") from None

    def close(self):
        self.child.close()


class Loads:
    """Several kinds at once, each in a directory of its own below `folder`."""

    def __init__(self, bench, folder, kinds=("blocks", "synced", "appends", "names")):
        self.bench = bench
        self.loads = []
        try:
            for number, kind in enumerate(kinds):
                self.loads.append(Load(kind, f"{folder}/{kind}", bench.folder / f"{kind}.journal",
                                       seed=number + 1))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def progress(self):
        return [load.progress() for load in self.loads]

    def wait_for_progress(self, timeout_s=STEP_TIMEOUT_S, more=3):
        """Each of them gets on, from here. Returns how long that took."""
        before = self.progress()
        return wait_until(lambda: all(now >= then + more for now, then
                                      in zip(self.progress(), before)) or self._ended(),
                          timeout_s, f"work did not go on ({self._standing(before)})")

    def _ended(self):
        return any(not load.child.running() for load in self.loads)

    def _standing(self, before):
        return ", ".join(load.kind for load, now, then
                         in zip(self.loads, self.progress(), before) if now == then)

    def stop(self, errors_allowed=False):
        """Ends them; CheckError where one of them got an error. Says what they did."""
        said = {load.kind: load.stop() for load in self.loads}
        self.bench.report.line("note", ", ".join(
            f"{kind} {one['acknowledged']} (waited {one['longest_wait_s']} s)"
            for kind, one in said.items()))
        errors = [f"{kind}: {one['error']}" for kind, one in said.items() if one["error"]]
        check(errors_allowed or not errors, "; ".join(errors))
        return said

    def verify(self, folder, where):
        """Compares `folder`, another path to the same directory, with what was acknowledged."""
        for load in self.loads:
            if not load.progress():
                continue
            done = subprocess.run(
                [sys.executable, str(HERE / "load.py"), "verify", f"{folder}/{load.kind}",
                 "--journal", str(load.journal)],
                capture_output=True, text=True, timeout=STEP_TIMEOUT_S)
            said = (done.stdout + done.stderr).strip().splitlines()
            check(done.returncode == 0, f"{where}: {load.kind}: {' / '.join(said[:3])}")

    def close(self):
        for load in self.loads:
            load.close()


class Bench:
    """A scratch folder for one case, with what it starts; all of it ends with the case."""

    def __init__(self, kit, report, options):
        self.kit = kit
        self.report = report
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-nfs-"))
        self._stack = contextlib.ExitStack()
        self._server = None
        self._mounts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def server(self, **options):
        self._server = self._stack.enter_context(Ganesha(self.kit, **options))
        return self._server

    def mount(self, url, name="mnt", *, options=(), wrap=lambda command: command, ready=True):
        mounted = self._stack.enter_context(
            Mounted(self.options.dpfs, url, self.folder / name, options, wrap))
        self._mounts.append(mounted)
        if ready:
            mounted.wait_until_ready()
        return mounted

    def loads(self, folder, **kinds):
        return self._stack.enter_context(Loads(self, folder, **kinds))

    def tell_logs(self):
        """What client and server said last, for the report of a failure."""
        for mounted in self._mounts:
            for text in mounted.log[-12:]:
                self.report.line(mounted.path.name, text)
        if self._server:
            for text in self._server.log().splitlines()[-12:]:
                self.report.line("server", text.partition("] ")[2] or text)
