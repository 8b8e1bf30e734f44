# SPDX-License-Identifier: Apache-2.0
"""The host's half of each case: what it lays out before, answers meanwhile, and checks afterwards.

The guest's half is guest/NAME.sh. Each case has a folder of its own in the shared directory, which
the guest finds as its working directory.
"""
import atexit
import hashlib
import io
import os
import random
import shutil
import stat
import subprocess
import tarfile

MIB = 1 << 20
# Around page and request boundaries, and one that needs many requests of the largest size.
SIZES = (0, 1, 511, 4095, 4096, 4097, 65537, MIB - 1, MIB + 3, 20 * MIB)
# Of every file of the tree.
MTIME = 1_600_000_000
# Unpacked in parallel, because one process mostly waits.
TREE_PARTS = 4
TREE_FOLDERS_PER_PART = 50
TREE_FILES_PER_FOLDER = 100


class CheckError(Exception):
    """What the host found wrong."""


def check(holds, sentence):
    if not holds:
        raise CheckError(sentence)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_sums(folder, list_name="SHA256SUMS"):
    """Compares every file with the list the guest wrote; returns how many there were."""
    lines = (folder / list_name).read_text().splitlines()
    for line in lines:
        expected, name = line.split(maxsplit=1)
        check(sha256(folder / name) == expected, f"{name} has other bytes than the guest wrote")
    return len(lines)


class Case:
    """By default the guest's script decides alone."""
    name = ""
    # Reasons why it cannot run with virtiofsd, if any.
    dpfs_only = ""

    def prepare(self, folder):
        """Before the boot. `folder` exists and is empty."""

    def answer(self, question, folder):
        """The guest waits for this line. A CheckError goes to the guest, too, which then fails."""
        raise CheckError(f"nobody knows an answer to '{question}'")

    def verify(self, folder):
        """After the guest has powered off."""


class Mount(Case):
    name = "mount"


class CopyIn(Case):
    """The host writes files, the guest reads them."""
    name = "copy_in"

    def prepare(self, folder):
        generator = random.Random(1)
        lines = []
        for size in SIZES:
            data = generator.randbytes(size)
            (folder / f"file{size}").write_bytes(data)
            lines.append(f"{hashlib.sha256(data).hexdigest()}  file{size}\n")
        (folder / "SHA256SUMS").write_text("".join(lines))


class CopyOut(Case):
    """The guest writes files in several ways, the host reads them."""
    name = "copy_out"

    def verify(self, folder):
        check(check_sums(folder) >= len(SIZES) + 4, "the guest wrote fewer files than it should")
        check((folder / "appended").read_text() == "".join(f"line {n}\n" for n in range(1, 101)),
              "appended lines are missing or out of order")


class Metadata(Case):
    """Names, links, modes, owners, times and attributes, as the guest set them."""
    name = "metadata"

    def prepare(self, folder):
        (folder / "from_host").mkdir()
        (folder / "from_host" / "äöü – 文件").write_text("name\n")
        (folder / "from_host" / ("n" * 255)).write_text("long\n")
        (folder / "from_host" / "line\nbreak").write_text("break\n")

    def verify(self, folder):
        status = (folder / "file").stat()
        check(stat.S_IMODE(status.st_mode) == 0o640, f"mode is {status.st_mode:o}")
        if os.geteuid() == 0:
            check((status.st_uid, status.st_gid) == (1234, 5678), "owner and group differ")
        check(status.st_mtime == 1_000_000_000, f"mtime is {status.st_mtime}")
        check(status.st_nlink == 2, f"link count is {status.st_nlink}")
        check(os.readlink(folder / "symlink") == "../anywhere/at all", "the link's target differs")
        check(stat.S_ISFIFO((folder / "fifo").stat().st_mode), "no fifo")
        check((folder / ("g" * 255)).read_text() == "long\n", "no file with a name of 255 bytes")
        utf_8 = folder / "größe – 文件"
        check(utf_8.read_text() == "name\n", "no file with a name in UTF-8")


class OpenFiles(Case):
    """Renamed, replaced and unlinked while open."""
    name = "open_files"

    def verify(self, folder):
        names = sorted(path.name for path in folder.iterdir())
        check(names == ["folder_after", "renamed", "target"], f"the folder holds {names}")
        check((folder / "renamed").read_text() == "one\ntwo\n", "the renamed file lost a write")
        check((folder / "target").read_text() == "new\n", "rename did not replace its target")


class Sparse(Case):
    name = "sparse"

    def verify(self, folder):
        status = (folder / "huge").stat()
        check(status.st_size == 8 << 30, f"size is {status.st_size}")
        check(status.st_blocks * 512 <= 1 * MIB, f"{status.st_blocks} blocks are allocated")
        with open(folder / "huge", "rb") as file:
            first = os.lseek(file.fileno(), 0, os.SEEK_DATA)
            check(first <= 4 << 30 < first + MIB, f"data begins at {first}")
            file.seek(4 << 30)
            check(file.read(4096) == b"\xab" * 4096, "the bytes in the middle differ")
        punched = (folder / "punched").stat()
        check(punched.st_blocks * 512 <= 2 * MIB + 65536, "punching a hole freed nothing")


class Fio(Case):
    name = "fio"


class FioQueues(Case):
    name = "fio_queues"


class Submounts(Case):
    """A tmpfs inside the share, which only root can mount. (virtiofsd has to be told to announce it.)"""
    name = "submounts"

    def prepare(self, folder):
        below = folder / "below"
        below.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "dpfs-test", below]
        if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
            return
        # Also when nobody comes to verify it.
        atexit.register(self.clean_up, folder)
        (below / "mounted").write_text("")

    @staticmethod
    def clean_up(folder):
        subprocess.run(["umount", "-l", folder / "below"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder.parent.parent, ignore_errors=True)

    def verify(self, folder):
        if (folder / "below" / "mounted").exists():
            text = (folder / "below" / "written").read_text()
            check(text == "guest\n", "the guest's file is not on the mounted file system")


class Remount(Case):
    name = "remount"

    def verify(self, folder):
        check(check_sums(folder) == 3, "not all of the three mounts left their file")


class Tree(Case):
    """20,000 small files: packed by the host, unpacked by the guest, checked here, then removed."""
    name = "tree"

    def __init__(self):
        self.files = {}

    def prepare(self, folder):
        generator = random.Random(2)
        for part in range(TREE_PARTS):
            with tarfile.open(folder / f"part{part}.tar", "w") as archive:
                for number in range(TREE_FOLDERS_PER_PART):
                    self.add_folder(archive, f"part{part}/{number:02}", generator)

    def add_folder(self, archive, folder_name, generator):
        entry = tarfile.TarInfo(f"tree/{folder_name}")
        entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, MTIME
        archive.addfile(entry)
        for number in range(TREE_FILES_PER_FOLDER):
            name = f"{folder_name}/{number:02}.txt"
            data = generator.randbytes(generator.randrange(0, 600))
            self.files[name] = hashlib.sha256(data).digest()
            entry = tarfile.TarInfo(f"tree/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o644, MTIME
            archive.addfile(entry, io.BytesIO(data))

    def answer(self, question, folder):
        check(question == "unpacked", f"asked '{question}'")
        found = {str(path.relative_to(folder / "tree")): path
                 for path in (folder / "tree").rglob("*.txt")}
        check(found.keys() == self.files.keys(),
              f"{len(found)} files of {len(self.files)} are there")
        for name, path in found.items():
            check(hashlib.sha256(path.read_bytes()).digest() == self.files[name], f"{name} differs")
            check(path.stat().st_mtime == MTIME, f"{name} has another mtime")
        return "ok"

    def verify(self, folder):
        check(not (folder / "tree").exists(), "the tree was not removed")


class Parallel(Case):
    """Several processes at once, each in its own folder and all in one."""
    name = "parallel"

    def verify(self, folder):
        for number in range(4):
            check(check_sums(folder / f"worker{number}") == 40, f"worker {number} lost files")
        count = len(list((folder / "common").iterdir()))
        check(count == 400, f"{count} of 400 files are in the common folder")


ALL_ONE_QUEUE = (Mount, CopyIn, CopyOut, Metadata, OpenFiles, Sparse, Fio, Submounts,
                 Remount)
ALL_SEVERAL_QUEUES = (Mount, FioQueues, Parallel, Tree)
ALL_WITHOUT_IO_URING = (Mount, CopyOut, Metadata, OpenFiles, Parallel)
