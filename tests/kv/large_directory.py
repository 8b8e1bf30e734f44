# SPDX-License-Identifier: Apache-2.0
"""A directory of very many entries: made, listed, looked into and emptied, and nobody is held up."""
import multiprocessing
import os
import pathlib
import random
import time

from clients import CheckError, check, wait_until

WORKERS = 2
LOOKUPS = 20_000
# Of the longest single call of somebody else meanwhile. Far more than is seen: against a stall.
LONGEST_S = 5
UNMOUNT_S = 120


class Prober:
    """Another process that makes, looks up and removes a file, there and elsewhere, all the time."""

    def __init__(self, directory, elsewhere):
        context = multiprocessing.get_context("fork")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=probe, args=(directory, elsewhere, theirs),
                                       daemon=True)
        self.process.start()

    def stop(self):
        """(calls, the longest in seconds and what it was), since the last time."""
        self.ours.send("stop")
        check(self.ours.poll(60), "the other process hangs")
        try:
            answer = self.ours.recv()
        except EOFError:
            raise CheckError("the other process died") from None
        self.process.join(10)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()


def probe(directory, elsewhere, pipe):
    longest, what, calls = 0.0, "", 0
    try:
        while not pipe.poll(0):
            for folder in (directory, elsewhere):
                path = f"{folder}/probe{calls}"
                for name, call in (("mknod", os.mknod), ("stat", os.stat), ("unlink", os.unlink)):
                    begin = time.monotonic()
                    call(path)
                    took = time.monotonic() - begin
                    calls += 1
                    if took > longest:
                        longest, what = took, f"{name} in {pathlib.Path(folder).name}"
            time.sleep(0.001)
        pipe.send((calls, longest, what))
    except OSError as error:
        pipe.send(error)


def in_parallel(function, directory, count):
    """Each worker has every WORKERS-th number."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(function, directory, first, count), daemon=True)
               for first in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check(all(worker.exitcode == 0 for worker in workers), f"{function.__name__} failed")


def work(function, directory, first, count):
    for number in range(first, count, WORKERS):
        function(f"{directory}/entry{number}")


def look_up(directory, count):
    generator = random.Random(1)
    for _ in range(LOOKUPS):
        os.stat(f"{directory}/entry{generator.randrange(count)}")
        try:
            os.stat(f"{directory}/missing{generator.randrange(count)}")
        except FileNotFoundError:
            continue
        raise CheckError("a missing name is found")


def expect_names(names, count):
    """Each that was there all the time, exactly once; others come and go."""
    found = [name for name in names if name.startswith("entry")]
    check(len(found) == len(set(found)), "a name is listed twice")
    check(len(found) == count, f"{len(found)} of {count} names are listed")


def list_names(directory, count):
    expect_names(os.listdir(directory), count)


def list_with_attributes(directory, count):
    """As ls -l does: READDIRPLUS."""
    names = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("entry"):
                entry.stat(follow_symlinks=False)
            names.append(entry.name)
    expect_names(names, count)


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def large(bench, count):
    url = bench.url()
    mounted = bench.mount(url)
    step(bench, mounted, "make", count, lambda directory: in_parallel(os.mknod, directory, count))
    step(bench, mounted, "list", count, lambda directory: list_names(directory, count))
    # Nothing is known any more.
    unmount(bench, mounted)
    mounted = bench.mount(url, "again", options=())
    step(bench, mounted, "look up", 2 * LOOKUPS, lambda directory: look_up(directory, count))
    step(bench, mounted, "list, cold", count, lambda directory: list_names(directory, count))
    step(bench, mounted, "list with attributes", count,
         lambda directory: list_with_attributes(directory, count))
    step(bench, mounted, "remove", count, lambda directory: in_parallel(os.unlink, directory, count))
    check(not os.listdir(mounted.path / "large"), "something is left")
    os.rmdir(mounted.path / "large")
    # The kernel tells of closed directories later.
    wait_until(lambda: inodes(mounted.path) == 2, 10, "more inodes are counted than there are")
    unmount(bench, mounted)
    if bench.has_fsck():
        bench.fsck(url)


def inodes(path):
    status = os.statvfs(path)
    return status.f_files - status.f_ffree


def unmount(bench, mounted):
    """The kernel takes as long as it needs to forget what it knows."""
    status, took = mounted.child.terminate(UNMOUNT_S)
    check(status == 0, f"dpfs mount ended badly ({status}): {mounted.last_words()}")
    bench.report.line("note", f"unmounted: {took:.1f} s")


def step(bench, mounted, what, count, function):
    directory, elsewhere = mounted.path / "large", mounted.path / "elsewhere"
    for folder in (directory, elsewhere):
        folder.mkdir(exist_ok=True)
    with Prober(directory, elsewhere) as prober:
        begin = time.monotonic()
        function(directory)
        took = time.monotonic() - begin
        calls, longest, slowest = prober.stop()
    bench.report.line(
        "note", f"{what}: {took:.1f} s, {count / took:.0f}/s; of {calls} calls of somebody else "
        f"the longest took {longest * 1000:.0f} ms ({slowest}); "
        f"{resident_mib(mounted.pid):.0f} MiB resident")
    check(longest < LONGEST_S, f"{what}: a call of somebody else took {longest:.1f} s ({slowest})")


def entries_10_000(bench):
    """10,000 entries in one directory."""
    large(bench, 10_000)


def entries_1_000_000(bench):
    """1,000,000 entries in one directory."""
    large(bench, 1_000_000)


QUICK = (entries_10_000,)
ALL = (*QUICK, entries_1_000_000)
