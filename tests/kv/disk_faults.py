# SPDX-License-Identifier: Apache-2.0
"""A disk below RocksDB that is full, or fails: an errno for the tenant, and no damage."""
import errno
import os
import subprocess
import threading

from clients import CheckError, check, wait_until

MIB = 1 << 20
# RocksDB looks every 5 s whether there is space again, of 64 MiB at least.
RECOVERY_S = 30


class SmallDisk:
    """A file system in memory, with a ballast that can be thrown away."""

    def __init__(self, path, size_mib, ballast_mib):
        self.path = path
        self.ballast = path / "ballast"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "dpfs-test", path],
                       check=True, timeout=20)
        self.ballast.write_bytes(bytes(ballast_mib * MIB))

    def make_room(self):
        self.ballast.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.path], check=False, timeout=20)


class BrokenDisk:
    """What broken_disk.cc fails below a folder."""

    def __init__(self, bench):
        self.library = bench.options.dpfs.parent / "tests" / "libbroken_disk.so"
        check(self.library.exists(), f"there is no {self.library}: cmake --build --preset release "
                                     "--target broken_disk")
        self.how = bench.folder / "how"
        self.environment = (f"LD_PRELOAD={self.library}",
                            f"DPFS_BROKEN_FOLDER={bench.folder}/database",
                            f"DPFS_BROKEN_HOW={self.how}")

    def fail(self, words):
        new = self.how.with_suffix(".new")
        new.write_text(words)
        new.rename(self.how)

    def work(self):
        self.how.unlink()


def pattern(name):
    return (name.encode() + b" ") * 10000


def write_file(path, data, *, sync=True):
    """OSError of any of the calls."""
    with open(path, "wb", buffering=0) as file:
        done = 0
        while done < len(data):
            done += file.write(data[done:])
        if sync:
            os.fsync(file.fileno())


class Files:
    """Files that were written and synchronized, to be compared later."""

    def __init__(self, folder):
        self.folder = folder
        self.kept = {}
        self.number = 0

    def write(self, size):
        self.number += 1
        name = f"file{self.number}"
        data = pattern(name)[:size]
        write_file(f"{self.folder}/{name}", data)
        self.kept[name] = data

    def errno_of_write(self, size=50_000):
        try:
            self.write(size)
            return 0
        except OSError as error:
            return error.errno

    def verify(self, where):
        for name, data in self.kept.items():
            with open(f"{self.folder}/{name}", "rb") as file:
                check(file.read() == data, f"{where}: {name} is not as it was synchronized")


def called(call):
    """Its errno, or 0."""
    try:
        call()
        return 0
    except OSError as error:
        return error.errno


def fill(files):
    """Writes until there is no room. The errno that it ended with."""
    for _ in range(20_000):
        if why := files.errno_of_write():
            return why
    raise CheckError("the disk does not become full")


def full_disk(bench):
    """A full disk is ENOSPC for who writes, others read, and with room it goes on."""
    disk = bench.enter(SmallDisk(bench.folder / "disk", size_mib=256, ballast_mib=200))
    url = f"kv+rocksdb:{disk.path}/database"
    mounted = bench.mount(url)
    files = Files(mounted.path)
    why = fill(files)
    check(why == errno.ENOSPC, f"a full disk is {errno.errorcode[why]}")
    check_full(mounted, files)
    disk.make_room()
    wait_until(lambda: files.errno_of_write() == 0, RECOVERY_S, "there is room, and nothing works")
    for name in sorted(files.kept)[:5]:
        os.unlink(mounted.path / name)
        del files.kept[name]
    files.verify("with room")
    check(mounted.end() == 0, f"dpfs mount ended badly: {mounted.last_words()}")
    look_again(bench, url, files)


def check_full(mounted, files):
    """While nothing can be written: each call answers, and what is there can be read."""
    path = mounted.path
    for call in (lambda: os.mkdir(path / "directory"), lambda: os.symlink("x", path / "symlink"),
                 lambda: write_file(path / "another", b"x"),
                 lambda: os.rename(path / "file1", path / "renamed"),
                 lambda: os.setxattr(path / "file1", "user.x", b"y")):
        why = called(call)
        check(why in {0, errno.ENOSPC}, f"a call gives {errno.errorcode.get(why, why)}")
        # Some of it may just fit; what was renamed is looked for under its name.
        if not why and (path / "renamed").exists():
            os.rename(path / "renamed", path / "file1")
    files.verify("on a full disk")
    check(len(os.listdir(path)) >= len(files.kept), "names are missing")


def look_again(bench, url, files):
    """After a new start: no damage, and all that was synchronized."""
    if bench.has_fsck():
        bench.fsck(url)
    again = bench.mount(url, "again", options=())
    files.folder = again.path
    files.verify("after a restart")
    files.write(5000)
    check(again.end() == 0, f"dpfs mount ended badly: {again.last_words()}")


def full_and_killed(bench):
    """The daemon is killed on a full disk: with room the next one finds everything."""
    disk = bench.enter(SmallDisk(bench.folder / "disk", size_mib=256, ballast_mib=200))
    url = f"kv+rocksdb:{disk.path}/database"
    mounted = bench.mount(url)
    files = Files(mounted.path)
    why = fill(files)
    check(why == errno.ENOSPC, f"a full disk is {errno.errorcode[why]}")
    mounted.kill()
    mounted.close()
    disk.make_room()
    look_again(bench, url, files)


def broken(bench, words, *, hits):
    """`words`: what fails. hits: whether a tenant that writes and synchronizes must be told."""
    disk = BrokenDisk(bench)
    mounted = bench.mount(bench.url(), environment=disk.environment)
    files = Files(mounted.path)
    for size in (10, 4096, 60_000):
        files.write(size)
    disk.fail(words)
    why = files.errno_of_write()
    check(why == errno.EIO or (not hits and not why), f"EIO is {errno.errorcode.get(why, why)}")
    files.verify("while the disk fails")
    disk.work()
    begin = "goes on by itself"
    try:
        wait_until(lambda: files.errno_of_write() == 0, 3, "")
    except CheckError:
        begin = "stays EIO until it is mounted again"
    bench.report.line("note", f"{words}: then it {begin}")
    files.verify("when the disk works again")
    mounted.end()
    mounted.close()
    look_again(bench, bench.url(), files)


def writes_fail(bench):
    """EIO from write(2) to RocksDB's log."""
    broken(bench, "write", hits=True)


def half_writes_fail(bench):
    """Half of each write to the log is done before one fails."""
    broken(bench, "half write", hits=True)


def short_writes_are_gone_on_with(bench):
    """write(2) does half of what it is asked for."""
    disk = BrokenDisk(bench)
    mounted = bench.mount(bench.url(), environment=disk.environment)
    files = Files(mounted.path)
    disk.fail("half")
    for size in (10, 4096, 60_000):
        files.write(size)
    mounted.end()
    look_again(bench, bench.url(), files)


def syncs_fail(bench):
    """EIO from fdatasync(2): fsync must say so, and what it acknowledged before stays."""
    broken(bench, "sync", hits=True)


def everything_fails_under_load(bench):
    """All calls fail while several write, and the daemon is killed."""
    disk = BrokenDisk(bench)
    mounted = bench.mount(bench.url(), environment=disk.environment)
    writers = []
    for number in range(3):
        folder = mounted.path / str(number)
        folder.mkdir()
        writers.append(Files(folder))
    ends = []

    def write_on(files):
        why = 0
        while not why:
            why = files.errno_of_write(30_000)
        ends.append(why)
    threads = [threading.Thread(target=write_on, args=(files,), daemon=True) for files in writers]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(files.number > 20 for files in writers), 60, "nobody gets on")
    disk.fail("read write sync")
    for thread in threads:
        thread.join(20)
    check(ends == [errno.EIO] * 3, f"the writers ended with {ends}")
    mounted.kill()
    mounted.close()
    disk.work()
    if bench.has_fsck():
        bench.fsck(bench.url())
    again = bench.mount(bench.url(), "again", options=())
    for number, files in enumerate(writers):
        files.folder = again.path / str(number)
        files.verify("after a restart")


QUICK = (full_disk, writes_fail, syncs_fail, everything_fails_under_load)
ALL = (*QUICK, full_and_killed, half_writes_fail, short_writes_are_gone_on_with)
