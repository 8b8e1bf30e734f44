#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over src/ and checks that every header compiles alone; remembers what was clean.

A file is looked at again when it, a header of ours that it includes (also indirectly), its compile
command, .clang-tidy or clang-tidy itself has changed. Needs a configured build folder for its
compile_commands.json.

  tools/tidy.py                          everything
  tools/tidy.py src/base/log.cc          only these files
  tools/tidy.py --no-cache --slowest 10  everything anew; show what takes long
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
CLANG_TIDY = "clang-tidy-19"
CLANG = "clang++-19"
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# They say where output goes, which nobody wants here, or colour it.
DROPPED_OPTIONS = {"-c", "-MD", "-MMD", "-fdiagnostics-color", "-fcolor-diagnostics"}
DROPPED_OPTIONS_WITH_VALUE = {"-o", "-MF", "-MT"}
# In tests the analyzer walks through GoogleTest's macros, for five times the time and no finding.
TEST_CHECKS = ["--checks=-clang-analyzer-*,-performance-*"]
# The analyzer gives a function up after so many steps, not 225,000: coroutines have many paths, and
# those it would find last are no others than those it found first. Half the time.
ANALYZER_OPTIONS = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=40000"]
HEADER_OPTIONS = ["-Wno-pragma-once-outside-header", "-fsyntax-only", "-x", "c++"]


class Headers:
    """What each file of ours includes of ours, read once."""

    def __init__(self):
        self.read = {}

    def content(self, path):
        if path not in self.read:
            try:
                content = path.read_bytes()
            except OSError:
                content = b""
            includes = [SOURCE / name.decode(errors="replace") for name in INCLUDE.findall(content)]
            self.read[path] = (hashlib.sha256(content).digest(), includes)
        return self.read[path]

    def digest(self, path):
        """A digest of the file and of all it includes."""
        seen, pending = set(), [path]
        while pending:
            current = pending.pop()
            if current not in seen:
                seen.add(current)
                pending += self.content(current)[1]
        total = hashlib.sha256()
        for current in sorted(seen):
            total.update(str(current.relative_to(ROOT)).encode() + b"\0" + self.content(current)[0])
        return total.digest()


def compile_options(entry):
    """The options of an entry of compile_commands.json: no compiler, launcher, input, output."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    compiler = next(i for i, word in enumerate(words) if re.search(r"(clang|g)\+\+(-\d+)?$", word))
    options, skip = [], False
    for word in words[compiler + 1 :]:
        if skip:
            skip = False
        elif word in DROPPED_OPTIONS_WITH_VALUE:
            skip = True
        elif word in DROPPED_OPTIONS or word == entry["file"]:
            pass
        else:
            options.append(word)
    return options


def first_include(source):
    """A source that includes its own header first proves that the header compiles alone."""
    found = INCLUDE.search(source.read_bytes())
    return found[1].decode() if found else None


def jobs_for(build, only):
    """What to run, as (file, command): clang-tidy for sources, clang for unproven headers."""
    try:
        entries = json.loads((build / "compile_commands.json").read_text())
    except OSError as error:
        sys.exit(f"tidy: {error}; configure first: cmake --preset release")
    jobs, header_options = {}, {}
    for entry in entries:
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if SOURCE not in path.parents:
            continue
        options = compile_options(entry)
        checks = TEST_CHECKS if path.name.endswith("_test.cc") else []
        jobs[path] = [CLANG_TIDY, "--quiet", *checks, str(path), "--", *options, *ANALYZER_OPTIONS]
        header_options.setdefault(path.parent, options)
    any_options = next(iter(header_options.values()), [f"-I{SOURCE}", "-std=c++20"])
    for header in sorted(SOURCE.rglob("*.h")):
        twin = header.with_suffix(".cc")
        if twin in jobs and first_include(twin) == header.relative_to(SOURCE).as_posix():
            continue
        options = header_options.get(header.parent, any_options)
        jobs[header] = [CLANG, *options, *HEADER_OPTIONS, str(header)]
    if only:
        jobs = {path: command for path, command in jobs.items() if path in only}
    return sorted(jobs.items())


def run(job):
    path, command = job
    begin = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    # clang-tidy counts what it suppressed, whatever one asks.
    output = "\n".join(
        line
        for line in done.stdout.splitlines()
        if not re.match(r"^\d+ warnings? (and \d+ errors? )?(generated|treated)", line)
    )
    return path, done.returncode, output.strip(), time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="*", type=pathlib.Path, help="files below src/ (default: all)")
    add("--build", type=pathlib.Path, default=ROOT / "build/release", help="a configured build")
    add("--jobs", type=int, default=os.cpu_count(), help="how many to run at once")
    add("--no-cache", action="store_true", help="look at everything again")
    add("--slowest", type=int, default=0, metavar="N", help="show which N files took longest")
    arguments = parser.parse_args()

    version = subprocess.check_output([CLANG_TIDY, "--version"])
    common = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes()).digest()
    cache = ROOT / "build/tidy"
    cache.mkdir(parents=True, exist_ok=True)
    headers = Headers()
    jobs = jobs_for(arguments.build, {path.resolve() for path in arguments.files})
    keys, pending = {}, []
    for path, command in jobs:
        key = hashlib.sha256(common + "\0".join(command).encode() + headers.digest(path))
        keys[path] = cache / key.hexdigest()
        if arguments.no_cache or not keys[path].exists():
            pending.append((path, command))

    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(max_workers=arguments.jobs) as pool:
        for path, status, output, took_s in pool.map(run, pending):
            times.append((took_s, path))
            if status == 0:
                keys[path].touch()
            else:
                failed += 1
                print(output, flush=True)
    used = {key.name for key in keys.values()}
    if not arguments.files:
        for old in cache.iterdir():
            if old.name not in used:
                old.unlink()
    for took_s, path in sorted(times, reverse=True)[: arguments.slowest]:
        print(f"{took_s:6.1f} s  {path.relative_to(ROOT)}")
    unchanged = len(jobs) - len(pending)
    print(f"tidy: {len(jobs)} files, {unchanged} clean and unchanged, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
