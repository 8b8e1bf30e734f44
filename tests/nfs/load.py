#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Works in a directory, writes down elsewhere what was acknowledged, and checks it afterwards.

  tests/nfs/load.py blocks /mnt/work --journal /tmp/j      until a line comes, or input ends
  tests/nfs/load.py verify /mnt/work --journal /tmp/j      the same directory, by any path to it

  blocks     blocks at random places of a few files, then fsync; each block names its generation
  synced     the same through O_SYNC: each write is acknowledged by itself
  appends    numbered lines by O_APPEND, fsync after each few
  names      create, rename, link, unlink, mkdir, rmdir: each has to work, exactly once
  verify     compares everything with the journal: acknowledged generations must be there, newer
             ones may be; lines are in order and none is there twice; names are those that were made

The journal gets what is going to be written before it is, and that it was acknowledged after. Any
error of the file system ends the work with status 1. The last line is a JSON object: acknowledged,
longest_wait_s, error.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import select
import sys
import time

BLOCK = 4096
SECTOR = 512
FILES = 3
# 2 MiB a file: blocks are written again and again, so that a lost write leaves an older generation.
BLOCKS = 512
LINE = 64


def content(seed, file, block, generation):
    """A block's bytes: each sector says whose it is, so that parts of one can be told apart."""
    sectors = []
    for sector in range(BLOCK // SECTOR):
        key = f"{seed} {file} {block} {generation} {sector}".encode()
        sectors.append(hashlib.blake2b(key).digest() * (SECTOR // 64))
    return b"".join(sectors)


def line_of(number):
    return f"line {number}".ljust(LINE - 1).encode() + b"\n"


class Journal:
    """Appended to at once: what this process saw is there, whatever becomes of it."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, kind, *what):
        os.write(self.file, (json.dumps([kind, *what]) + "\n").encode())

    @staticmethod
    def read(path):
        for line in pathlib.Path(path).read_text().splitlines():
            kind, *what = json.loads(line)
            yield kind, what


class Worker:
    """Calls step() until it is told to stop, and measures how long the slowest call took."""

    def __init__(self, folder, journal, seed):
        self.folder = folder
        self.journal = journal
        self.seed = seed
        self.random = random.Random(seed)
        self.acknowledged = 0
        self.longest_wait_s = 0.0

    def run(self):
        error = None
        try:
            self.prepare()
            print("working", flush=True)
            while not told_to_stop():
                begin = time.monotonic()
                self.step()
                self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - begin)
            self.finish()
        except OSError as caught:
            error = f"{type(self).__name__}: {caught}"
        print(json.dumps({"acknowledged": self.acknowledged, "error": error,
                          "longest_wait_s": round(self.longest_wait_s, 2)}), flush=True)
        return 1 if error else 0

    def prepare(self):
        pass

    def step(self):
        raise NotImplementedError

    def finish(self):
        pass


class Blocks(Worker):
    FLAGS = os.O_RDWR | os.O_CREAT

    def prepare(self):
        self.journal.note("seed", self.seed)
        self.files = [os.open(f"{self.folder}/blocks{number}", self.FLAGS, 0o644)
                      for number in range(FILES)]
        self.generation = 0

    def step(self):
        """A few writes, then fsync: only now are they acknowledged."""
        number = self.random.randrange(FILES)
        written = [self.write_run(number) for _ in range(self.random.randint(1, 4))]
        self.sync(number)
        for first, count, generation in written:
            self.journal.note("acknowledged", number, first, count, generation)
            self.acknowledged += count

    def write_run(self, number):
        """Adjacent blocks; now and then a large one, of more than one WRITE of the protocol."""
        count = self.random.choice((1, 1, 2, 8, 16, 300))
        first = self.random.randrange(BLOCKS - count)
        self.generation += 1
        self.journal.note("intent", number, first, count, self.generation)
        data = b"".join(content(self.seed, number, block, self.generation)
                        for block in range(first, first + count))
        write_all(self.files[number], data, first * BLOCK)
        return first, count, self.generation

    def sync(self, number):
        os.fsync(self.files[number])

    def finish(self):
        for file in self.files:
            os.close(file)


class Synced(Blocks):
    FLAGS = os.O_RDWR | os.O_CREAT | os.O_SYNC

    def sync(self, number):
        """Each write was its own."""


class Appends(Worker):
    def prepare(self):
        self.file = os.open(f"{self.folder}/appended",
                            os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def step(self):
        for _ in range(self.random.randint(1, 8)):
            write_all(self.file, line_of(self.acknowledged + 1))
            self.acknowledged += 1
            self.journal.note("intent_lines", self.acknowledged + 1)
        os.fsync(self.file)
        self.journal.note("lines", self.acknowledged)

    def finish(self):
        os.close(self.file)


class Names(Worker):
    """A request that is sent once more because its answer was lost must not be done once more."""

    def prepare(self):
        self.number = 0

    def step(self):
        self.number += 1
        here = f"{self.folder}/{{}}{self.number}"
        self.journal.note("making", self.number)
        file = os.open(here.format("new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        write_all(file, line_of(self.number))
        os.close(file)
        os.rename(here.format("new"), here.format("kept"))
        os.link(here.format("kept"), here.format("linked"))
        os.mkdir(here.format("folder"))
        os.symlink("nowhere", here.format("folder") + "/symlink")
        os.unlink(here.format("folder") + "/symlink")
        os.rmdir(here.format("folder"))
        os.unlink(here.format("linked"))
        if self.number > 50:
            os.unlink(f"{self.folder}/kept{self.number - 50}")
        self.journal.note("made", self.number)
        self.acknowledged += 1


def write_all(file, data, offset=None):
    while data:
        count = os.write(file, data) if offset is None else os.pwrite(file, data, offset)
        data = data[count:]
        if offset is not None:
            offset += count


def told_to_stop():
    """By a line on standard input or its end. No signal: that would interrupt what waits."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def verify(folder, journal):
    """Sentences about what is not as it was acknowledged."""
    seed, blocks, lines, names = 0, {}, [0, 1], [0, 0]
    for kind, what in Journal.read(journal):
        if kind == "seed":
            seed = what[0]
        elif kind in {"intent", "acknowledged"}:
            note_blocks(blocks, kind, *what)
        elif kind == "lines":
            lines[0] = what[0]
        elif kind == "intent_lines":
            lines[1] = what[0]
        elif kind == "making":
            names[1] = what[0]
        elif kind == "made":
            names[0] = what[0]
    problems = []
    for number in sorted({file for file, _ in blocks}):
        problems += verify_blocks(folder, seed, number, blocks)
    if lines[0]:
        problems += verify_lines(folder, *lines)
    if names[1]:
        problems += verify_names(folder, *names)
    return problems, len(blocks) + lines[0] + names[0]


def note_blocks(blocks, kind, file, first, count, generation):
    """What may be in each block: (the newest that was acknowledged, what was tried since)."""
    for block in range(first, first + count):
        acknowledged, tried = blocks.setdefault((file, block), (0, []))
        if kind == "intent":
            tried.append(generation)
        else:
            # Of those tried before and not acknowledged by themselves only the newest is there.
            newest = max(acknowledged, generation)
            blocks[file, block] = (newest, [one for one in tried if one > newest])


def verify_blocks(folder, seed, number, blocks):
    data = pathlib.Path(f"{folder}/blocks{number}").read_bytes()
    problems = []
    for (file, block), (acknowledged, tried) in sorted(blocks.items()):
        if file != number:
            continue
        found = data[block * BLOCK:(block + 1) * BLOCK].ljust(BLOCK, b"\0")
        allowed = [content(seed, file, block, one) for one in [acknowledged, *tried] if one]
        if not acknowledged:
            allowed.append(bytes(BLOCK))
        # What was not acknowledged may be there in part.
        ranges = range(0, BLOCK, SECTOR)
        if not all(any(found[at:at + SECTOR] == one[at:at + SECTOR] for one in allowed)
                   for at in ranges):
            problems.append(f"blocks{file}, block {block}: generation {acknowledged} was "
                            f"acknowledged, there is {describe(found, seed, file, block)}")
    return problems


def describe(found, seed, file, block):
    if found == bytes(BLOCK):
        return "nothing"
    for generation in range(1, 20000):
        if content(seed, file, block, generation) == found:
            return f"generation {generation}"
    return "something else"


def verify_lines(folder, acknowledged, last):
    data = pathlib.Path(f"{folder}/appended").read_bytes()
    expected = b"".join(line_of(number) for number in range(1, last + 1))
    if len(data) < acknowledged * LINE:
        return [f"appended: {acknowledged} lines were acknowledged, {len(data) / LINE} are there"]
    if data != expected[:len(data)]:
        at = next((at for at in range(0, len(data), LINE)
                   if data[at:at + LINE] != expected[at:at + LINE]), 0)
        return [f"appended: line {at // LINE + 1} is {data[at:at + LINE].rstrip()!r}"]
    return []


def verify_names(folder, made, making):
    found = {name for name in os.listdir(folder) if name.startswith(("new", "kept", "linked",
                                                                      "folder"))}
    # The last round may not have come to its end.
    if making > made:
        found -= {f"{kind}{making}" for kind in ("new", "kept", "linked", "folder")}
    expected = {f"kept{number}" for number in range(max(1, made - 49), made + 1)}
    problems = [f"{name} is missing" for name in sorted(expected - found)]
    if making > made and problems == [f"kept{made - 49} is missing"]:
        problems = []
    problems += [f"{name} should not be there" for name in sorted(found - expected)]
    for name in sorted(found & expected):
        text = pathlib.Path(f"{folder}/{name}").read_bytes()
        if text != line_of(int(name.removeprefix("kept"))):
            problems.append(f"{name} holds {text!r}")
    return problems


WORKERS = {"blocks": Blocks, "synced": Synced, "appends": Appends, "names": Names}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=(*WORKERS, "verify"))
    parser.add_argument("folder")
    parser.add_argument("--journal", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.kind == "verify":
        problems, count = verify(options.folder, options.journal)
        for problem in problems[:20]:
            print(problem)
        print(json.dumps({"checked": count, "problems": len(problems)}))
        return 1 if problems else 0
    with contextlib.suppress(FileExistsError):
        os.mkdir(options.folder)
    return WORKERS[options.kind](options.folder, Journal(options.journal), options.seed).run()


if __name__ == "__main__":
    sys.exit(main())
