# SPDX-License-Identifier: Apache-2.0
"""Who is measured beside whom: file systems on key-value stores, and what else tenants are given.

One more is one more function here, and its name in SUBJECTS.
"""
import contextlib
import dataclasses
import pathlib
import shutil
import subprocess
import time

from stage import say

import daemon  # the rig's
import fetch
import measure
import s3ql
from disk import DiskError
from ganesha import Ganesha, GaneshaError
from link import LinkError
from resp import RespError
from valkey import Valkey, ValkeyError

ROCKSDB, VALKEY, CLUSTER = "kv, RocksDB", "kv, Valkey", "kv, Valkey cluster"
LOCAL, NFS, NULL = "local", "nfs, Ganesha", "null device"
S3QL, BARE = "S3QL", "the directory itself"
BARE_GET = "Valkey's own GET"  # not a subject: what a read of Valkey is measured against
COLOURS = {ROCKSDB: "#1f77b4", VALKEY: "#2ca02c", CLUSTER: "#98df8a", LOCAL: "#d9822b",
           NFS: "#9a9a9a", NULL: "#555555", S3QL: "#9467bd", BARE: "#bbbbbb"}
# Longer than anything that is measured.
LEASE_S = 60
# As a careful operator has it who does not wait for the disk.
VALKEY_SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


@dataclasses.dataclass
class Subject:
    """Something that dpfs serves, or another's mount."""
    name: str
    url: str = ""  # for dpfs; "": it is not dpfs
    about: str = ""
    servers: tuple = ()  # process ids of what lies behind
    create: bool = False  # the file system is made at the first use
    files_max: int = 10 ** 9  # more would not fit
    folder: pathlib.Path = None  # of the host's; "bare" and local
    s3ql: object = None
    address: tuple = ()  # of a single Valkey server: host, port

    def is_served(self):
        return bool(self.url)

    def peer(self, dpfs):
        """As tools/bench has it."""
        extra = ["--create"] if self.create else []

        def command(socket_path, _folder):
            return daemon.dpfs_command(dpfs, socket_path=socket_path, tag="bench", url=self.url,
                                       extra=extra)
        return measure.Peer(self.name, command, self.about)

    def servers_s(self):
        """Seconds of processor time that the servers have had so far."""
        return sum(processor_s(pid) for pid in self.servers)


def processor_s(pid):
    """Of the whole process (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def schemes(dpfs):
    """What URLs this dpfs knows, by its help."""
    return subprocess.run([dpfs, "serve", "--help"], capture_output=True, text=True).stdout


# ---- Each of them: (folder of its own, stage, stack that ends it) to a Subject -------------------

def rocksdb(folder, stage, _stack):
    package = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "librocksdb-dev"],
                             capture_output=True, text=True)
    # Confined, dpfs makes no folders.
    (folder / "database").mkdir()
    return Subject(ROCKSDB, f"kv+rocksdb:{folder / 'database'}", create=True,
                   about=f"RocksDB {package.stdout.strip() or 'of this machine'}")


def valkey_of(name, stage, stack, **options):
    if "kv+valkey:" not in schemes(stage.dpfs):
        raise Missing("this dpfs knows no kv+valkey:// URLs")
    valkey = stack.enter_context(Valkey(stage.kit.valkey(), settings=VALKEY_SETTINGS, **options))
    servers = valkey.servers
    return Subject(name, valkey.url(), create=True, files_max=100_000,
                   servers=tuple(server.child.pid for server in servers),
                   address=(servers[0].address, servers[0].port),
                   about=f"Valkey {stage.kit.version(stage.kit.valkey())}, {len(servers)} server(s) "
                         "on loopback, append-only file synchronized every second")


def valkey_single(_folder, stage, stack):
    return valkey_of(VALKEY, stage, stack)


def valkey_cluster(_folder, stage, stack):
    return valkey_of(CLUSTER, stage, stack, primaries=3, replicas=1)


def local(folder, _stage, _stack):
    return Subject(LOCAL, f"local:{folder}", about="a directory, as the others' stores are in",
                   files_max=100_000)


def nfs(_folder, stage, stack):
    server = stack.enter_context(Ganesha(stage.kit, lease_s=LEASE_S, size_mib=4096))
    return Subject(NFS, server.url(), servers=(server.child.pid,), files_max=100_000,
                   about=f"Ganesha {stage.kit.manifest()['ganesha']} on loopback, ext4 on a disk in a "
                         "file: what is closed is on that disk")


def null(_folder, _stage, _stack):
    return Subject(NULL, "null:", about="answers at once: what the device itself takes")


def fetch_other():
    """While there is a network; what went wrong is said when it is wanted."""
    with contextlib.suppress(s3ql.S3qlError):
        s3ql.ensure(say)


def other(folder, _stage, _stack):
    found = s3ql.ensure(say)
    for name in ("storage", "cache"):
        (folder / name).mkdir()
    found.make(folder / "storage", folder / "cache")
    return Subject(S3QL, about=f"S3QL {found.version()}: SQLite, contents in a folder, not "
                               "compressed and not encrypted; a mount of its own",
                   folder=folder, s3ql=found)


def bare(folder, _stage, _stack):
    return Subject(BARE, about="no daemon at all", folder=folder)


SUBJECTS = {ROCKSDB: rocksdb, VALKEY: valkey_single, CLUSTER: valkey_cluster, LOCAL: local,
            NFS: nfs, NULL: null, S3QL: other, BARE: bare}


class Missing(Exception):
    """A subject that is not to be had, and why."""


@contextlib.contextmanager
def begin(name, stage):
    """The subject, with its servers, in a new folder; None and a note where it is not to be had."""
    folder = stage.storage / "".join(c if c.isalnum() else "-" for c in name)
    with contextlib.ExitStack() as stack:
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            subject = SUBJECTS[name](folder, stage, stack)
            stage.said[name] = subject.about
        except (Missing, ValkeyError, RespError, LinkError, DiskError, GaneshaError,
                s3ql.S3qlError, fetch.FetchError, OSError) as error:
            stage.note(f"SKIPPED {name}: {error}")
            subject = None
        yield subject


@contextlib.contextmanager
def begin_all(names, stage):
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(begin(name, stage)) for name in names]
        yield [subject for subject in found if subject is not None]
