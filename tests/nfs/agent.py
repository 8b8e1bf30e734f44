# SPDX-License-Identifier: Apache-2.0
"""A process that does what it is told, call by call: it holds files and locks, and may hang alone.

Run as a program it reads calls as JSON, [name, argument...], one a line, and answers each with
{"result": ...} or {"errno": name}. As a module it has the other side, Agent.
"""
import errno
import fcntl
import json
import os
import queue
import sys

# Beyond os: locks on a range of bytes, and on a whole file.
EXCLUSIVE, SHARED, UNLOCK, TRY = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN, fcntl.LOCK_NB


def perform(name, arguments):
    arguments = [word.encode("latin-1") if isinstance(word, str) and name in {"write", "pwrite"}
                 else word for word in arguments]
    if name == "lockf":
        return fcntl.lockf(*arguments)
    if name == "flock":
        return fcntl.flock(*arguments)
    result = getattr(os, name)(*arguments)
    if isinstance(result, bytes):
        return result.decode("latin-1")
    if isinstance(result, os.stat_result):
        return {field: getattr(result, field) for field in ("st_ino", "st_size", "st_nlink")}
    return result


def serve():
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"result": perform(name, arguments)}
        except OSError as error:
            answer = {"errno": errno.errorcode.get(error.errno, str(error.errno))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
    sys.exit(0)

from child import Child  # noqa: E402
from clients import STEP_TIMEOUT_S, CheckError  # noqa: E402


class Agent:
    """agent.call("open", path, flags) does os.open there; an errno comes back as OSError."""

    def __init__(self, name="agent"):
        self.name = name
        self.child = Child([sys.executable, __file__], name)
        self._waiting = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def begin(self, name, *arguments):
        """Has it done; result() waits for it."""
        self._waiting = f"{name}{arguments}"
        self.child.send(json.dumps([name, *map(plain, arguments)]))

    def result(self, timeout_s=STEP_TIMEOUT_S):
        while True:
            try:
                stream, text = self.child.lines.get(timeout=timeout_s)
            except queue.Empty:
                raise CheckError(f"{self.name}: {self._waiting} takes more than {timeout_s} s") \
                    from None
            if stream is None:
                raise CheckError(f"{self.name} ended in {self._waiting}")
            if stream == "out":
                break
        answer = json.loads(text)
        if "errno" in answer:
            number = getattr(errno, answer["errno"])
            raise OSError(number, f"{self.name}: {self._waiting}: {os.strerror(number)}")
        return answer["result"]

    def call(self, name, *arguments, timeout_s=STEP_TIMEOUT_S):
        self.begin(name, *arguments)
        return self.result(timeout_s)

    def waits(self, timeout_s):
        """Whether what was begun is still not done after that time."""
        try:
            entry = self.child.lines.get(timeout=timeout_s)
        except queue.Empty:
            return True
        self.child.lines.put(entry)
        return False

    def errno_of(self, name, *arguments):
        """The name of the errno a call ends with, or '' when it works."""
        try:
            self.call(name, *arguments)
            return ""
        except OSError as error:
            return errno.errorcode[error.errno]

    def locked_by_another(self, file, how="lockf"):
        """Tries for the lock and gives it up again."""
        if self.errno_of(how, file, EXCLUSIVE | TRY) in {"EAGAIN", "EACCES"}:
            return True
        self.call(how, file, UNLOCK)
        return False

    def close(self):
        self.child.close()


def plain(word):
    return word if isinstance(word, (int, str)) else str(word)
