#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a tree of 20,000 files like that of a large build, and prints how each looks afterwards.

  tests/suites/tree.py DIR

Sources are written, "objects" are made of them in a second pass, some are renamed, linked, made
executable and removed. Two file systems that do the same print the same.
"""
import hashlib
import os
import pathlib
import random
import sys

FOLDERS = 200
SOURCES_PER_FOLDER = 60
MTIME = 1_600_000_000


def write_sources(root, generator):
    for folder in range(FOLDERS):
        path = root / f"lib{folder // 20:02}" / f"part{folder:03}"
        path.mkdir(parents=True)
        for number in range(SOURCES_PER_FOLDER):
            source = path / f"file{number:02}.c"
            source.write_bytes(generator.randbytes(generator.randrange(0, 3000)))
            os.utime(source, (MTIME, MTIME + number))


def build(root):
    for source in sorted(root.rglob("*.c")):
        data = source.read_bytes()
        # As compilers do: a temporary name first, then the final one.
        temporary = source.with_suffix(".o.tmp")
        temporary.write_bytes(hashlib.sha256(data).digest() * 8)
        temporary.rename(source.with_suffix(".o"))


def tidy(root):
    """Changes some of it; every fifth object is gone at the end."""
    for number, path in enumerate(sorted(root.rglob("*.o"))):
        if number % 5 == 0:
            path.unlink()
        elif number % 5 == 1:
            path.chmod(0o755)
        elif number % 50 == 2:
            os.link(path, path.with_suffix(".hard"))
        elif number % 50 == 3:
            os.symlink(path.name, path.with_suffix(".soft"))


def describe(path, root):
    status = path.lstat()
    # Times that nobody set are of the test itself.
    mtime = status.st_mtime_ns if status.st_mtime < MTIME + 1000 else "now"
    size = 0 if path.is_dir() and not path.is_symlink() else status.st_size
    line = [str(path.relative_to(root)), f"{status.st_mode:o}", status.st_nlink, size, mtime]
    if path.is_symlink():
        line.append(os.readlink(path))
    elif path.is_file():
        line.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return " ".join(str(word) for word in line)


def main():
    if len(sys.argv) != 2 or sys.argv[1] in {"-h", "--help"}:
        print(__doc__)
        return 0 if len(sys.argv) == 2 else 2
    root = pathlib.Path(sys.argv[1])
    write_sources(root, random.Random(1))
    build(root)
    tidy(root)
    for path in sorted(root.rglob("*")):
        print(describe(path, root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
