#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crashes a key-value file system under load, again and again, and looks at what is left.

  tests/kv/crash.py --rounds 200                          a new file system in a scratch folder
  tests/kv/crash.py --rounds 200 kv+rocksdb:/srv/files    below a folder of its own there
  tests/kv/crash.py --rounds 50 --power                   the power fails: needs root, for a disk
  tests/kv/crash.py --seed 1234 --rounds 1                the load of that round once more

In each round several processes (churn.py) work through `dpfs mount`, which is killed at a random
moment. Then `dpfs kv fsck` may find nothing but garbage, the file system is mounted again, and all
that was answered has to be there (model.py says what that means); with --power all that was
synchronized, and of what came later nothing unless all that came before it. Every other round the
tenant's kernel writes back. Exit status: 0 all rounds passed, 1 one did not, 77 nothing could run.
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "nfs"), str(ROOT / "tests" / "vm"), str(ROOT / "tools" / "rig")]

import churn
import model
from bench import Bench
from clients import CheckError, Skip, check, within

from child import Child, exit_on_signals
from disk import Disk, DiskError
from report import Report

HERE = pathlib.Path(__file__).resolve().parent
WORKERS = 3
# What a call may say when the daemon is gone, or its disk.
# ECANCELED, EINTR: a request that the kernel was about to hand to the daemon by io_uring.
GONE = {"ENOTCONN", "ECONNABORTED", "ECANCELED", "EINTR", "EIO", "ENODEV", "ESHUTDOWN"}
ROUND_TIMEOUT_S = 60


class SystemTools:
    """The programs of this machine, for Disk."""

    @staticmethod
    def command(path, *arguments):
        name = pathlib.Path(path).name
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if found is None:
            raise DiskError(f"there is no {name}; install e2fsprogs")
        return [found, *arguments]


class Crashes:
    """Rounds on one file system. `disk`: it lies there, and the power fails."""

    def __init__(self, bench, url, *, seed, disk=None):
        self.bench = bench
        self.url = url
        self.seed = seed
        self.disk = disk
        self.can_check = bench.has_fsck()
        self.calls = 0
        self.garbage = 0
        self.work = f"crash-{os.getpid()}"
        if not self.can_check:
            bench.report.line("note", "there is no dpfs kv fsck: mounting and comparing only")

    def run(self, rounds):
        for number in range(rounds):
            seed = self.seed + number
            try:
                self.round(seed)
            except CheckError as error:
                raise CheckError(f"round {number + 1} of {rounds} (--seed {seed}): {error}") \
                    from None
        power = " and power failures" if self.disk else ""
        self.bench.report.line(
            "note", f"{rounds} crashes{power}, {self.calls} calls, all that was acknowledged is "
            f"there; fsck counted garbage {self.garbage} times")

    def round(self, seed):
        chance = random.Random(seed)
        written_back = seed % 2 == 1
        before = f"{self.work}/{seed - 1}"
        now = f"{self.work}/{seed}"
        journals = [self.bench.folder / f"{seed}-{worker}" for worker in range(WORKERS)]
        with contextlib.ExitStack() as stack:
            mounted = self.mount(stack, written_back)
            (mounted.path / now).mkdir(parents=True)
            # What the round before has left is removed meanwhile: large removals are under way.
            workers = [stack.enter_context(contextlib.closing(self.remover(mounted, before)))]
            loads = [stack.enter_context(contextlib.closing(
                self.load(f"{mounted.path}/{now}/{worker}", journal, seed * WORKERS + worker)))
                for worker, journal in enumerate(journals)]
            for load in loads:
                load.lines.get(timeout=ROUND_TIMEOUT_S)
            time.sleep(chance.uniform(0.02, 1.2))
            for load in loads:
                if not load.running():
                    raise CheckError(f"a worker ended by itself: {last_line(load)}")
            # What is answered from now on may have been before or after the power failed.
            until = time.monotonic()
            if self.disk:
                self.disk.shut_down()
            mounted.kill()
            for load in (*loads, *workers):
                check(load.wait(ROUND_TIMEOUT_S) is not None, "a call hangs after the crash")
            # Not before: who looks for a path after it finds another directory.
            mounted.close()
            if self.disk:
                self.disk.mount_again()
            for load in loads:
                said = last_line(load)
                check(said["errno"] in GONE, f"a call ended so: {said}")
                self.calls += said["calls"]
        if chance.random() < 0.2:
            self.crash_while_mounting(chance)
        if self.can_check:
            self.garbage += bool(self.bench.fsck(self.url).get("garbage"))
        with contextlib.ExitStack() as stack:
            mounted = self.mount(stack, written_back=False)
            self.verify(f"{mounted.path}/{now}", journals, seed, written_back, until)
            self.verify_usage(mounted)
            check(mounted.end() == 0, f"dpfs mount ended badly: {mounted.last_words()}")
        for journal in journals:
            journal.unlink()

    def mount(self, stack, written_back):
        options = ["--create", *(["--writeback"] if written_back else [])]
        mounted = self.bench.mount(self.url, options=options)
        stack.callback(mounted.close)
        return mounted

    def load(self, folder, journal, seed):
        return Child([sys.executable, str(HERE / "churn.py"), folder, "--journal", str(journal),
                      "--seed", str(seed)], "churn")

    def remover(self, mounted, folder):
        return Child(["rm", "-rf", f"{mounted.path}/{folder}"], "rm")

    def crash_while_mounting(self, chance):
        """What is left is being tidied up."""
        mounted = self.bench.mount(self.url, ready=False)
        time.sleep(chance.uniform(0, 0.1))
        mounted.kill()
        mounted.close()

    def verify(self, folder, journals, seed, written_back, until):
        for worker, path in enumerate(journals):
            journal = model.Journal(path, until if self.disk else math.inf)
            if not journal.calls:
                continue
            try:
                found = within(ROUND_TIMEOUT_S, churn.look, f"{folder}/{worker}")
            except FileNotFoundError:
                check(self.disk and not journal.synced(), f"worker {worker}: its folder is gone")
                continue
            problems = model.compare(seed * WORKERS + worker, journal, found,
                                     power_failed=self.disk is not None,
                                     written_back=written_back)
            check(not problems, f"worker {worker}: " + "; ".join(problems[:5]))

    def verify_usage(self, mounted):
        """As many inodes are counted as there are: nothing is left of files without a name."""
        status = os.statvfs(mounted.path)
        inos = {os.lstat(mounted.path).st_ino}
        for here, directories, names in os.walk(mounted.path, onerror=churn.fail):
            inos.update(os.lstat(os.path.join(here, name)).st_ino for name in (*directories, *names))
        used = status.f_files - status.f_ffree
        check(used == len(inos), f"{used} inodes are counted, {len(inos)} are there")


def last_line(load):
    said = None
    while True:
        stream, text = load.lines.get(timeout=ROUND_TIMEOUT_S)
        if stream is None:
            break
        said = text
    try:
        return json.loads(said)
    except (TypeError, ValueError):
        raise CheckError(f"a worker said {said!r}") from None


def power_disk(bench):
    """A disk that forgets what was not synchronized."""
    folder = bench.folder / "power"
    folder.mkdir()
    try:
        return bench.enter(contextlib.closing(Disk(SystemTools, folder, size_mib=1024)))
    except (DiskError, subprocess.SubprocessError) as error:
        raise Skip(str(error)) from None


def crashes(bench, rounds, *, power=False, url=None, seed=None):
    disk = power_disk(bench) if power else None
    url = url or (f"kv+rocksdb:{disk.path}/database" if disk else bench.url())
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 30)
    bench.report.line("note", f"{url}, the first round's seed is {seed}")
    Crashes(bench, url, seed=seed, disk=disk).run(rounds)


def kill_a_few_times(bench):
    """The daemon is killed under load: what was answered is there."""
    crashes(bench, 6)


def power_fails_a_few_times(bench):
    """The power fails under load: what was synchronized is there, and nothing that came after a
    thing that is missing."""
    crashes(bench, 4, power=True)


def kill_200_times(bench):
    """The same, 200 times."""
    crashes(bench, 200)


def power_fails_100_times(bench):
    """The same, 100 times."""
    crashes(bench, 100, power=True)


QUICK = (kill_a_few_times, power_fails_a_few_times)
ALL = (*QUICK, kill_200_times, power_fails_100_times)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="of the file system; without it a scratch one")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, help="of the first round; without it a random one")
    parser.add_argument("--power", action="store_true", help="the power fails, too")
    parser.add_argument("--dpfs", type=pathlib.Path, default=ROOT / "build/release/dpfs")
    options = parser.parse_args()
    if options.power and options.url:
        parser.error("--power brings a disk of its own: leave the URL out")
    exit_on_signals()
    options.dpfs = options.dpfs.absolute()
    with Bench(Report(), options) as bench:
        try:
            crashes(bench, options.rounds, power=options.power, url=options.url,
                    seed=options.seed)
        except Skip as reason:
            print(f"skipped: {reason}")
            return 77
        except (CheckError, DiskError, OSError) as error:
            bench.tell_logs()
            print(f"FAILED: {error}")
            return 1
    print("passed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
