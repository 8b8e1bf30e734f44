# SPDX-License-Identifier: Apache-2.0
"""What is done to a mount, and the figures taken from it."""
import dataclasses

# Names of the peers, in the order of the columns.
BARE = "directory"
THEIRS = "libfuse"
OURS = "dpfs"
OURS_URING = "dpfs, io_uring"
COLOURS = {BARE: "#d9d9d9", THEIRS: "#9a9a9a", OURS: "#1f77b4", OURS_URING: "#0b3c5d"}

# How much the kernel may keep of what it was told, the same for all daemons.
ASKED = "asked"  # nothing: each operation is one of the daemon's
KEPT = "kept"  # names, attributes and contents for a day; what is written is written back later


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""
    data_bytes: int  # a power of two of pages
    folders: int
    files: int  # in each folder
    reads: int
    stats: int
    creates: int
    archived: int  # files in the archive that is unpacked


# Not many files: passthrough_hp keeps a descriptor for each that the kernel knows.
FULL = Size(data_bytes=256 << 20, folders=100, files=100, reads=65536, stats=50_000,
            creates=5000, archived=4000)
QUICK = Size(data_bytes=16 << 20, folders=20, files=50, reads=4096, stats=2000, creates=500,
             archived=200)


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of mount_load; `arguments` is a function of (size, whether it is a mount)."""
    name: str
    keeps: str
    title: str
    arguments: object


def reads(threads):
    return lambda size, mounted: ("read", size.reads, threads, "dropped" if mounted else "kept")


def stats(threads):
    return lambda size, _: ("stat", size.stats, threads, size.folders, size.files)


# In this order, on one mount for each of ASKED and KEPT.
JOBS = (
    Job("read1", ASKED, "4 KiB random reads", reads(1)),
    Job("read8", ASKED, "4 KiB random reads, 8 threads", reads(8)),
    Job("stat1", ASKED, "stat", stats(1)),
    Job("stat8", ASKED, "stat, 8 threads", stats(8)),
    Job("create", ASKED, "create", lambda size, _: ("create", size.creates)),
    Job("unlink", ASKED, "unlink", lambda size, _: ("unlink", size.creates)),
    Job("walk", KEPT, "walk of a tree, as git status", lambda size, _: ("walk",)),
    Job("again", KEPT, "the same walk again", lambda size, _: ("walk",)),
    Job("untar", KEPT, "files untarred", None),
)
