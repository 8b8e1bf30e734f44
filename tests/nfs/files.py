# SPDX-License-Identifier: Apache-2.0
"""Files that vanish, files without a name, disks that are full: each with the right errno."""
import errno
import os
import pathlib
import time

from agent import Agent
from clients import CheckError, check, wait_until

OPEN = os.O_RDWR | os.O_CREAT
HIDDEN = ".dpfs-unlinked"
MIB = 1 << 20
# A daemon that starts has asked what its predecessor left behind within this: its lease has to end.
CLEAN_S = 30


def stale(bench):
    """FSAL MEM forgets all files at a restart: what is open is stale, what is made anew works."""
    server = bench.server(fsal="MEM")
    mounted = bench.mount(server.url())
    with Agent() as agent:
        file = agent.call("open", f"{mounted.path}/file", OPEN)
        agent.call("pwrite", file, "gone soon", 0)
        agent.call("fsync", file)
        agent.call("mkdir", f"{mounted.path}/folder")
        server.restart()
        said = agent.errno_of("pread", file, 10, 0) or agent.errno_of("fstat", file)
        check(said in {"ESTALE", "EIO"}, f"an open file gives '{said}', not ESTALE")
        said = agent.errno_of("stat", f"{mounted.path}/file")
        check(said in {"ENOENT", "ESTALE"}, f"stat of the old name gives '{said}'")
        # The cache's time is over: a fresh look-up.
        time.sleep(2)
        said = agent.errno_of("stat", f"{mounted.path}/folder")
        check(said == "ENOENT", f"stat of the old folder gives '{said}', not ENOENT")
        new = agent.call("open", f"{mounted.path}/file", OPEN)
        agent.call("pwrite", new, "new", 0)
        agent.call("fsync", new)
        text = agent.call("pread", new, 10, 0)
        check(text == "new", f"the new file holds {text!r}")


def fill(agent, path, expected, limit_mib):
    """Writes until that errno comes, by write or by fsync. Returns how much fsync acknowledged."""
    file = agent.call("open", path, OPEN)
    acknowledged = 0
    try:
        while acknowledged < limit_mib * MIB:
            count = agent.call("pwrite", file, "x" * (MIB // 4), acknowledged)
            agent.call("fsync", file)
            acknowledged += count
    except OSError as error:
        check(error.errno == expected, f"{os.strerror(expected)} was expected, not: {error}")
        return acknowledged
    finally:
        agent.errno_of("close", file)
    raise CheckError(f"{limit_mib} MiB were written without an error")


def full(bench, server, expected):
    mounted = bench.mount(server.url())
    with Agent() as agent:
        acknowledged = fill(agent, f"{mounted.path}/large", expected, 64)
        check(acknowledged >= 4 * MIB, f"after {acknowledged >> 10} KiB already")
        data = (server.exported / "large").read_bytes()[:acknowledged]
        check(data == b"x" * acknowledged, "what was acknowledged is not on the server")
        # Again and again, and for small files: an error, never silence.
        said = agent_writes(agent, f"{mounted.path}/other", 2 * MIB)
        check(said == os.strerror(expected), f"another file: '{said}'")
        agent.call("unlink", f"{mounted.path}/large")
        agent.errno_of("unlink", f"{mounted.path}/other")
        wait_until(lambda: agent_writes(agent, f"{mounted.path}/small", MIB) == "", 20,
                   "there is no room again")
    check((server.exported / "small").read_bytes() == b"y" * MIB, "what came then is not whole")
    check(mounted.end() == 0, f"dpfs mount ended badly: {mounted.last_words()}")


def agent_writes(agent, path, size):
    """The error's text, or ''."""
    try:
        file = agent.call("open", path, OPEN)
    except OSError as error:
        return os.strerror(error.errno)
    try:
        written = 0
        while written < size:
            written += agent.call("pwrite", file, "y" * min(MIB // 4, size - written), written)
        agent.call("fsync", file)
        return ""
    except OSError as error:
        return os.strerror(error.errno)
    finally:
        agent.errno_of("close", file)


def full_disk(bench):
    """ENOSPC comes to who writes or syncs, what was acknowledged is there, and room can be made."""
    full(bench, bench.server(size_mib=24), errno.ENOSPC)


def quota(bench):
    """The same with EDQUOT."""
    full(bench, bench.server(size_mib=300, quota_mib=16), errno.EDQUOT)


def hidden(folder):
    """Files that are unlinked and still open, as the server has them."""
    path = pathlib.Path(folder) / HIDDEN
    return [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else []


def unlinked(bench):
    """A file that is unlinked while open keeps its content until it is closed."""
    server = bench.server()
    mounted = bench.mount(server.url())
    with Agent() as agent:
        file = unlink_open(agent, mounted.path)
        check(hidden(server.exported), f"there is nothing in {HIDDEN} of the share")
        listing = agent.call("listdir", str(mounted.path))
        check("file" not in listing, "its name is still listed")
        check(HIDDEN not in listing, f"{HIDDEN} is listed")
        agent.call("rmdir", f"{mounted.path}/folder")
        agent.call("pwrite", file, "longer than before", 0)
        server.restart()
        text = agent.call("pread", file, 100, 0)
        check(text == "longer than before", f"after a restart of the server it holds {text!r}")
        agent.call("close", file)
        wait_until(lambda: not hidden(server.exported), 10, "the closed file is not removed")


def unlink_open(agent, folder):
    agent.call("mkdir", f"{folder}/folder")
    file = agent.call("open", f"{folder}/folder/file", OPEN)
    agent.call("pwrite", file, "still here", 0)
    agent.call("fsync", file)
    agent.call("unlink", f"{folder}/folder/file")
    text = agent.call("pread", file, 100, 0)
    check(text == "still here", f"unlinked, it holds {text!r}")
    return file


def unlinked_and_killed(bench):
    """Files that were open and unlinked when their daemon was killed: the next one removes them."""
    server = bench.server()
    mounted = bench.mount(server.url())
    with Agent() as agent:
        unlink_open(agent, mounted.path)
        check(hidden(server.exported), f"there is nothing in {HIDDEN} of the share")
        mounted.kill()
    mounted.close()
    again = bench.mount(server.url(), "again")
    took = wait_until(lambda: not hidden(server.exported), CLEAN_S,
                      "what the killed daemon left behind is not removed")
    bench.report.line("note", f"clean {took:.1f} s after the next daemon was ready")
    check(again.end() == 0, f"dpfs mount ended badly: {again.last_words()}")


def unlinked_by_another(bench):
    """Files that another, living daemon keeps open are left alone by one that starts."""
    server = bench.server()
    mounted = bench.mount(server.url())
    with Agent() as agent:
        file = unlink_open(agent, mounted.path)
        other = bench.mount(server.url(), "other")
        time.sleep(8)
        check(other.end() == 0, f"dpfs mount ended badly: {other.last_words()}")
        text = agent.call("pread", file, 100, 0)
        check(text == "still here", f"it holds {text!r}")
        agent.call("close", file)


def close_to_open(bench):
    """What one client has closed, another sees as soon as it opens it."""
    server = bench.server()
    first = bench.mount(server.url(), "first")
    second = bench.mount(server.url(), "second")
    with Agent("first") as one, Agent("second") as two:
        for number in range(20):
            text = f"version {number}".ljust(20 + number, ".")
            write_and_close(one, f"{first.path}/file", text)
            file = two.call("open", f"{second.path}/file", os.O_RDONLY)
            found = two.call("pread", file, 1000, 0)
            two.call("close", file)
            check(found == text, f"the second client reads {found!r} instead of {text!r}")
            one, two, first, second = two, one, second, first


def write_and_close(agent, path, text):
    file = agent.call("open", path, OPEN | os.O_TRUNC)
    agent.call("pwrite", file, text, 0)
    agent.call("close", file)


QUICK = (stale, full_disk, quota, unlinked, unlinked_and_killed, close_to_open)
ALL = (*QUICK, unlinked_by_another)
