# SPDX-License-Identifier: Apache-2.0
"""Locks of two clients of one export: they exclude each other, also over its restarts."""
import contextlib
import os
import random
import time

from agent import EXCLUSIVE, SHARED, TRY, UNLOCK, Agent
from clients import check

KINDS = ("lockf", "flock")
OPEN = os.O_RDWR | os.O_CREAT
# Within this a lock that was given up goes to who waits for it: clients ask again now and then.
HANDOVER_S = 35


@contextlib.contextmanager
def two_clients(bench, server, wrap=lambda command: command):
    """(agent, its mount's path) for each of two daemons; `wrap` is for the second."""
    first = bench.mount(server.url(), "first")
    second = bench.mount(server.url(), "second", wrap=wrap)
    with Agent("first") as one, Agent("second") as two:
        yield (one, first), (two, second)


def hold(agent, folder):
    """Opens and locks a file for each kind of lock. Returns descriptors by kind."""
    files = {}
    for kind in KINDS:
        files[kind] = agent.call("open", f"{folder}/{kind}", OPEN)
        agent.call(kind, files[kind], EXCLUSIVE)
    return files


def opened(agent, folder):
    return {kind: agent.call("open", f"{folder}/{kind}", OPEN) for kind in KINDS}


def check_excluded(other, files, when):
    for kind in KINDS:
        check(other.locked_by_another(files[kind], kind), f"{kind}: not excluded {when}")


def read_anew(agent, path):
    """By an open of its own, which asks the server what is new."""
    file = agent.call("open", path, os.O_RDONLY)
    text = agent.call("pread", file, 100, 0)
    # Not closed: that would take the process's record locks away.
    return text


def exclude(bench):
    """Two daemons against one export exclude each other: trying, waiting, sharing."""
    server = bench.server()
    with two_clients(bench, server) as ((one, first), (two, second)):
        held = hold(one, first.path)
        files = opened(two, second.path)
        check_excluded(two, files, "while it is held")
        for kind in KINDS:
            two.begin(kind, files[kind], EXCLUSIVE)
            check(two.waits(1), f"{kind}: granted while it is held")
            one.call(kind, held[kind], UNLOCK)
            begin = time.monotonic()
            two.result(HANDOVER_S)
            bench.report.line("note", f"{kind}: handed over after {time.monotonic() - begin:.1f} s")
            check(one.locked_by_another(held[kind], kind), f"{kind}: both hold it")
            two.call(kind, files[kind], SHARED)
            one.call(kind, held[kind], SHARED | TRY)
            check(two.errno_of(kind, files[kind], EXCLUSIVE | TRY) == "EAGAIN",
                  f"{kind}: exclusive beside a shared one")


def freed_by_the_end(bench):
    """A client whose process or daemon dies has no locks any more."""
    server = bench.server()
    with two_clients(bench, server) as ((one, first), (two, second)):
        hold(one, first.path)
        files = opened(two, second.path)
        one.close()
        for kind in KINDS:
            two.call(kind, files[kind], EXCLUSIVE, timeout_s=HANDOVER_S)
            two.call(kind, files[kind], UNLOCK)
        with Agent("third") as three:
            hold(three, first.path)
            first.kill()
            # Nobody renews the lease.
            begin = time.monotonic()
            for kind in KINDS:
                two.call(kind, files[kind], EXCLUSIVE, timeout_s=HANDOVER_S)
            bench.report.line("note", f"free {time.monotonic() - begin:.1f} s after kill -9")


def known_again(bench):
    """A daemon with a name (client=) that is killed: when it is there again, what it had is free at
    once, without waiting for a lease of a minute."""
    server = bench.server(lease_s=60, grace_s=5)
    url = server.url(client="tenant7")
    first = bench.mount(url, "first")
    with Agent("first") as one:
        hold(one, first.path)
        first.kill()
    first.close()
    again = bench.mount(url, "again")
    with Agent("again") as two:
        for kind, file in opened(two, again.path).items():
            two.call(kind, file, EXCLUSIVE, timeout_s=10)
    check(again.end() == 0, f"dpfs mount ended badly: {again.last_words()}")


def kept_over(bench, server, *faults):
    """Locks are held before and after, and never granted to another in between."""
    with two_clients(bench, server) as ((one, first), (two, second)):
        held = hold(one, first.path)
        files = opened(two, second.path)
        check_excluded(two, files, "before")
        for fault in faults:
            fault()
            # At once, in the grace period: this waits, and then is refused.
            check_excluded(two, files, "right after")
            for kind in KINDS:
                one.call("pwrite", held[kind], "still mine", 0)
                one.call("fsync", held[kind])
        check_excluded(two, files, "after the grace period")
        for kind in KINDS:
            one.call(kind, held[kind], UNLOCK)
            two.call(kind, files[kind], EXCLUSIVE, timeout_s=HANDOVER_S)
            text = read_anew(two, f"{second.path}/{kind}")
            check(text == "still mine", f"{kind}: the second client reads {text!r}")
    for daemon in (first, second):
        check(daemon.end() == 0, f"dpfs mount ended badly: {daemon.last_words()}")


def kept_over_a_restart(bench):
    """Locks outlive a restart of the server, for nobody else gets them in its grace period."""
    server = bench.server()
    kept_over(bench, server, server.restart)


def kept_over_a_kill(bench):
    """The same over kill -9 of the server."""
    server = bench.server()

    def kill_and_start():
        server.kill()
        server.start()
    kept_over(bench, server, kill_and_start)


def kept_over_a_cut(bench):
    """The same over a cut of 2 s."""
    server = bench.server(namespace=True)

    def cut_2():
        server.cut()
        time.sleep(2)
        server.mend()
    kept_over(bench, server, cut_2)


def kept_over_weather(bench):
    """The same over twelve of these at random, each shorter than the lease."""
    server = bench.server(namespace=True)
    seed = int(time.time())
    bench.report.line("note", f"seed {seed}")
    draw = random.Random(seed)

    def interrupted(begin, end):
        begin()
        time.sleep(draw.uniform(0, 3))
        end()

    kinds = [server.restart,
             lambda: interrupted(server.kill, server.start),
             lambda: interrupted(server.cut, server.mend),
             lambda: interrupted(server.pause, server.resume)]
    kept_over(bench, server, *draw.choices(kinds, k=12))


def lost_to_another(bench):
    """A lock that another took while its holder was cut off for longer than the lease: its holder
    gets EIO for that file, and the log says it."""
    server = bench.server(namespace=True)
    # The second client works on the server's side of the cable.
    with two_clients(bench, server, server.link.command) as ((one, first), (two, second)):
        held = hold(one, first.path)
        files = opened(two, second.path)
        server.cut()
        for kind in KINDS:
            two.call(kind, files[kind], EXCLUSIVE, timeout_s=HANDOVER_S)
            two.call("pwrite", files[kind], "the second's", 0)
            two.call("fsync", files[kind])
        server.mend()
        for kind in KINDS:
            # A write is never done under a lock that is not there any more.
            said = one.errno_of("pwrite", held[kind], "the first's", 0)
            said = said or one.errno_of("fsync", held[kind])
            check(said == "EIO", f"{kind}: who lost it gets '{said}' for its write, not EIO")
            text = two.call("pread", files[kind], 100, 0)
            check(text == "the second's", f"{kind}: the file holds {text!r}")
        check(first.has_logged("(?i)lock|lost|lease"), f"nothing in the log: {first.last_words()}")
        # Other files are as good as ever.
        file = one.call("open", f"{first.path}/other", OPEN)
        one.call("pwrite", file, "works", 0)
        one.call("fsync", file)


QUICK = (exclude, kept_over_a_restart, known_again)
ALL = (*QUICK, freed_by_the_end, kept_over_a_kill, kept_over_a_cut, kept_over_weather,
       lost_to_another)
