#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does random calls in a directory and writes down each before it, and that it was answered.

  tests/kv/churn.py /mnt/work --journal /tmp/j --seed 1     until a line comes, or input ends

The last line is a JSON object: calls, errno (of the call that ended it, or null), text. What may be
there after a crash: model.py, from that journal.
"""
import argparse
import ctypes
import errno
import json
import os
import random
import select
import stat
import sys
import time

from model import Model, content

DIRECTORIES = 6
NAMES = 12
SIZES = (0, 1, 100, 700, 4095, 4096, 4097, 9000, 65536, 70000, 200000)
HELD = 6
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
RENAME_EXCHANGE = 2
FALLOC_PUNCH_HOLE = 3  # with FALLOC_FL_KEEP_SIZE
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Churn:
    def __init__(self, folder, journal, seed):
        self.folder = folder
        self.model = Model(seed)
        self.random = random.Random(seed)
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.calls = 0
        self.generation = 0
        self.held = []  # (number, descriptor) of files that stay open, with a name or without

    def run(self):
        os.makedirs(self.folder, exist_ok=True)
        print("working", flush=True)
        caught = None
        try:
            while not select.select([sys.stdin], [], [], 0)[0]:
                self.step()
        except OSError as error:
            caught = error
        print(json.dumps({"calls": self.calls, "errno": caught and errno.errorcode[caught.errno],
                          "text": str(caught)}), flush=True)

    def call(self, name, *arguments, do):
        self.note(self.calls, name, *arguments)
        ino = do()
        self.note(self.calls, ino, time.monotonic())
        self.calls += 1
        self.model.apply(name, *arguments)

    def note(self, *what):
        os.write(self.journal, (json.dumps(what) + "\n").encode())

    def at(self, path):
        return f"{self.folder}/{path}" if path else self.folder

    # ---- What is there, and what is not

    def some_directory(self):
        return self.random.choice(sorted(self.model.directories))

    def some_path(self):
        directory = self.some_directory()
        name = f"n{self.random.randrange(NAMES)}"
        return f"{directory}/{name}" if directory else name

    def free_path(self):
        for _ in range(20):
            path = self.some_path()
            if path not in self.model.names and path not in self.model.directories:
                return path
        return None

    def some_name(self, file=False):
        names = [path for path, target in self.model.names.items()
                 if not file or not isinstance(target, str)]
        return self.random.choice(sorted(names)) if names else None

    def with_file(self, use, flags=os.O_RDWR):
        """Calls use(number, descriptor) with a file that has a name, or is held open."""
        if self.held and self.random.random() < 0.3:
            return use(*self.random.choice(self.held))
        path = self.some_name(file=True)
        if path is None:
            return None
        descriptor = os.open(self.at(path), flags)
        try:
            return use(self.model.names[path], descriptor)
        finally:
            os.close(descriptor)

    # ---- Steps

    def step(self):
        steps, weights = zip(*STEPS)
        self.random.choices(steps, weights)[0](self)

    def create(self):
        path = self.free_path()
        if path is None:
            return self.unlink()
        number = len(self.model.files) + 1
        opened = []

        def do():
            opened.append(os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
            return os.fstat(opened[0]).st_ino
        self.call("create", path, number, 0o644, do=do)
        return self.fill(number, opened[0])

    def fill(self, number, descriptor):
        if self.random.random() < 0.9:
            self.write_at(number, descriptor, 0, self.random.choice(SIZES))
        if self.random.random() < 0.4:
            self.call("fsync", number, do=lambda: os.fsync(descriptor))
        if self.random.random() < 0.1:
            self.held.append((number, descriptor))
            if len(self.held) > HELD:
                os.close(self.held.pop(0)[1])
        else:
            os.close(descriptor)

    def nameless(self):
        """O_TMPFILE, and mostly a name later."""
        path = self.free_path()
        if path is None:
            return
        number = len(self.model.files) + 1
        opened = []

        def do():
            opened.append(os.open(self.folder, os.O_RDWR | os.O_TMPFILE, 0o600))
            return os.fstat(opened[0]).st_ino
        self.call("create", None, number, 0o600, do=do)
        self.write_at(number, opened[0], 0, self.random.choice(SIZES))
        if self.random.random() < 0.7:
            self.call("link", number, path,
                      do=lambda: checked(LIBC.linkat(
                          AT_FDCWD, f"/proc/self/fd/{opened[0]}".encode(),
                          AT_FDCWD, self.at(path).encode(), AT_SYMLINK_FOLLOW)))
        self.fill(number, opened[0])

    def write_at(self, number, descriptor, offset, size, call="write"):
        if size == 0:
            return
        self.generation += 1
        data = content(self.model.seed, number, self.generation, size)

        def do():
            done = 0
            while done < size:
                done += os.pwrite(descriptor, data[done:], offset + done)
        self.call(call, number, offset, size, self.generation, do=do)

    def overwrite(self):
        def use(number, descriptor):
            size = len(self.model.files[number].data)
            self.write_at(number, descriptor, self.random.randrange(size + 5000),
                          self.random.choice(SIZES))
        self.with_file(use)

    def append(self):
        def use(number, descriptor):
            self.write_at(number, descriptor, len(self.model.files[number].data),
                          self.random.choice((1, 64, 3000)))
        self.with_file(use)

    def dsync(self):
        path = self.some_name(file=True)
        if path is None:
            return
        descriptor = os.open(self.at(path), os.O_RDWR | os.O_DSYNC)
        number = self.model.names[path]
        size = len(self.model.files[number].data)
        self.write_at(number, descriptor, self.random.randrange(size + 1),
                      self.random.choice(SIZES), "dsync")
        os.close(descriptor)

    def truncate(self):
        def use(number, descriptor):
            size = self.random.choice((0, 10, 4096, 5000, 66000, 300000))
            self.call("truncate", number, size, do=lambda: os.ftruncate(descriptor, size))
        self.with_file(use)

    def punch(self):
        def use(number, descriptor):
            end = len(self.model.files[number].data)
            if end == 0:
                return
            offset = self.random.randrange(end)
            size = self.random.choice((100, 4096, 20000, 100000))
            self.call("punch", number, offset, size, do=lambda: checked(LIBC.fallocate(
                descriptor, FALLOC_PUNCH_HOLE, ctypes.c_long(offset), ctypes.c_long(size))))
        self.with_file(use)

    def fsync(self):
        self.with_file(lambda number, descriptor: self.call(
            "fsync", number, do=lambda: os.fsync(descriptor)))

    def fsyncdir(self):
        path = self.some_directory()
        descriptor = os.open(self.at(path), os.O_RDONLY)
        self.call("fsyncdir", path, do=lambda: os.fsync(descriptor))
        os.close(descriptor)

    def chmod(self):
        mode = self.random.choice((0o600, 0o640, 0o755))
        self.with_file(lambda number, descriptor: self.call(
            "chmod", number, mode, do=lambda: os.fchmod(descriptor, mode)))

    def xattr(self):
        name = f"user.x{self.random.randrange(3)}"
        value = f"{self.calls} ".ljust(self.random.choice((8, 100, 2000)), "v")
        self.with_file(lambda number, descriptor: self.call(
            "xattr", number, name, value,
            do=lambda: os.setxattr(descriptor, name, value.encode())))

    def mkdir(self):
        path = self.free_path()
        if path is not None and len(self.model.directories) < DIRECTORIES:
            self.call("mkdir", path, do=lambda: os.mkdir(self.at(path)))

    def rmdir(self):
        used = {path.rpartition("/")[0] for path in (*self.model.names, *self.model.directories)}
        empty = sorted(path for path in self.model.directories if path and path not in used)
        if empty:
            path = self.random.choice(empty)
            self.call("rmdir", path, do=lambda: os.rmdir(self.at(path)))

    def symlink(self):
        path = self.free_path()
        target = f"to{self.calls}"
        if path is not None:
            self.call("symlink", path, target, do=lambda: os.symlink(target, self.at(path)))

    def link(self):
        old, new = self.some_name(file=True), self.free_path()
        if old is not None and new is not None:
            self.call("link", self.model.names[old], new,
                      do=lambda: os.link(self.at(old), self.at(new)))

    def unlink(self):
        path = self.some_name()
        if path is not None:
            self.call("unlink", path, do=lambda: os.unlink(self.at(path)))

    def rename(self):
        old, new = self.some_name(), self.some_path()
        if old is None or new in self.model.directories:
            return
        # Two names of one file: nothing would happen.
        if self.model.names.get(new) != self.model.names[old]:
            self.call("rename", old, new, do=lambda: os.rename(self.at(old), self.at(new)))

    def rename_directory(self):
        old, new = self.some_directory(), self.free_path()
        if old and new is not None and not new.startswith(old + "/"):
            self.call("rename", old, new, do=lambda: os.rename(self.at(old), self.at(new)))

    def exchange(self):
        one, other = self.some_name(), self.some_name()
        if one is not None and self.model.names[one] != self.model.names[other]:
            self.call("exchange", one, other, do=lambda: checked(LIBC.renameat2(
                AT_FDCWD, self.at(one).encode(), AT_FDCWD, self.at(other).encode(),
                RENAME_EXCHANGE)))

    def replace(self):
        """As an editor saves: written aside, synchronized, renamed."""
        path = self.free_path()
        if path is not None:
            old = self.some_name()
            number = len(self.model.files) + 1
            self.create_synced(path, number)
            if old is not None:
                self.call("rename", path, old, do=lambda: os.rename(self.at(path), self.at(old)))
                self.fsyncdir()

    def create_synced(self, path, number):
        opened = []

        def do():
            opened.append(os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
            return os.fstat(opened[0]).st_ino
        self.call("create", path, number, 0o644, do=do)
        self.write_at(number, opened[0], 0, self.random.choice(SIZES))
        self.call("fsync", number, do=lambda: os.fsync(opened[0]))
        os.close(opened[0])


STEPS = ((Churn.create, 16), (Churn.nameless, 3), (Churn.overwrite, 10), (Churn.append, 8),
         (Churn.dsync, 3), (Churn.truncate, 5), (Churn.punch, 3), (Churn.fsync, 4),
         (Churn.fsyncdir, 1), (Churn.chmod, 2), (Churn.xattr, 4), (Churn.mkdir, 3),
         (Churn.rmdir, 3), (Churn.symlink, 2), (Churn.link, 5), (Churn.unlink, 12),
         (Churn.rename, 8), (Churn.rename_directory, 2), (Churn.exchange, 2), (Churn.replace, 4))


def look(folder):
    """What is there, for model.compare()."""
    found = {"": ("directory",)}
    for here, directories, names in os.walk(folder, onerror=fail):
        for name in (*directories, *names):
            path = os.path.join(here, name)
            found[os.path.relpath(path, folder)] = look_at(path)
    return found


def fail(error):
    raise error


def look_at(path):
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        return ("directory",)
    if stat.S_ISLNK(status.st_mode):
        return ("symlink", os.readlink(path))
    with open(path, "rb") as file:
        data = file.read()
    xattrs = tuple((name, os.getxattr(path, name).decode()) for name in sorted(os.listxattr(path)))
    return ("file", status.st_ino, status.st_nlink, stat.S_IMODE(status.st_mode), xattrs, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--journal", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.umask(0o022)
    Churn(options.folder, options.journal, options.seed).run()


if __name__ == "__main__":
    main()
