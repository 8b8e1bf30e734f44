#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows a tenant whose files are records of key-value stores, and what it notices of a failover.

  tools/rig/demo_kv.py --dpfs build/release/dpfs
  tools/rig/demo_kv.py --dpfs build/release/dpfs --verbose    with what QEMU and dpfs log

One file system is in a RocksDB database, another one on a Valkey cluster of six processes on
loopback. A stock Linux VM mounts both and works on them. In the middle of its work that server of
the cluster is killed which has all names and attributes. Everything it starts ends with it. Exit
status 0 when both sides read the same, the tenant's verified run of fio had no error, and both file
systems are whole afterwards.
"""
import contextlib
import hashlib
import re
import subprocess
import sys
import time

import daemon as daemons
import demo
from resp import RespError
from valkey import Valkey, ValkeyError
from vm import Device

CLUSTER_TAG = "cluster"
# How long fio works before the server is killed.
CALM_S = 3
COMMAND_TIMEOUT_S = 60
LINES_MAX = 4


class KvDemo(demo.Demo):
    title = "1. The operator has a RocksDB database, and a Valkey cluster"
    jobs = (demo.JOB, demo.JOB.with_name("demo_kv.sh"))
    steps = 9
    errors = (RespError, ValkeyError, subprocess.SubprocessError)

    def __init__(self, options, screen):
        super().__init__(options, screen)
        self.url = f"kv+rocksdb:{self.folder}/db"
        # What the tenant wrote, by the URL it is to be read at when the tenant has gone.
        self.expected = []

    def run(self, kit):
        settings = {"appendonly": "yes", "appendfsync": "everysec"}
        with Valkey(kit.valkey(), primaries=3, replicas=1, settings=settings) as cluster:
            self.cluster = cluster
            self.cluster_url = cluster.url()
            return super().run(kit)

    def introduce(self):
        pids = " ".join(str(server.child.pid) for server in self.cluster.servers)
        self.screen.output(f"valkey-server, six processes on loopback: {pids}")

    def write_files(self):
        super().write_files()
        for url in (self.url, self.cluster_url):
            with self.mounted(url, "--create"):
                self.command(["cp", self.share / "from_host", self.mount_point])

    @contextlib.contextmanager
    def more_devices(self):
        """The file system on the cluster has a device and a daemon of its own."""
        socket = self.folder / "cluster_socket"
        command = daemons.dpfs_command(self.options.dpfs, socket_path=socket, tag=CLUSTER_TAG,
                                       url=self.cluster_url, queues=demo.QUEUES)
        self.screen.command("host", " ".join(command))
        with daemons.Daemon(command, socket, self.daemon_line) as daemon:
            yield [Device(str(socket), CLUSTER_TAG, demo.QUEUES)]
            status, _ = daemon.terminate()
            if status != 0:
                self.fail(f"the cluster's daemon ended with status {status}")

    @property
    def mount_point(self):
        return self.folder / "mnt"

    @contextlib.contextmanager
    def mounted(self, url, *options):
        """One daemon at a time has a file system: the tenant's is not running meanwhile."""
        self.mount_point.mkdir(exist_ok=True)
        dpfs = self.options.dpfs
        self.command([dpfs, "mount", *options, "--log-file", self.folder / "mount.log", url,
                      self.mount_point])
        try:
            yield
        finally:
            self.command([dpfs, "umount", self.mount_point])

    def command(self, words):
        """Shows it, runs it, and shows the end of what it printed."""
        words = [str(word) for word in words]
        self.screen.command("host", " ".join(words))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=COMMAND_TIMEOUT_S, check=False)
        for line in done.stdout.splitlines()[-LINES_MAX:]:
            self.screen.output(line)
        if done.returncode != 0:
            for line in done.stderr.splitlines():
                self.screen.output(line)
            self.fail(f"it ended with status {done.returncode}")

    def answer_wrote(self, name, expected):
        self.expected.append((self.url, name, expected))
        return "thanks"

    def answer_unpacked(self, count):
        self.compare(int(count) == demo.TREE_FILES, "all of the tree is there")
        return "thanks"

    def answer_wrote_to_cluster(self, name, expected):
        self.expected.append((self.cluster_url, name, expected))
        return "thanks"

    def answer_kill(self):
        """In the middle of the tenant's work: the server that has its names and attributes."""
        time.sleep(CALM_S)
        slot = self.cluster.servers[0].call("CLUSTER", "KEYSLOT", "{main}")
        number = self.cluster.primary_of(slot)
        server = self.cluster.servers[number]
        self.screen.command("host", f"kill -9 {server.child.pid}    # server {number}, the primary "
                                    "of the tenant's names and attributes")
        begin = time.monotonic()
        server.kill()
        successor = self.cluster.wait_for_successor(slot, number)
        self.screen.output(f"server {successor}, its replica, takes its place after "
                           f"{time.monotonic() - begin:.1f} s")
        return "thanks"

    def answer_fio(self, status, *summary):
        """What came of the tenant's run of fio."""
        text = " ".join(summary)
        clean = status == "0" and re.search(r"err= ?0\b", text)
        self.compare(bool(clean), "fio ended without an error, every block verified")
        return "thanks"

    def check_afterwards(self):
        self.screen.title("10. The tenant has gone; the operator looks at what it left")
        for url in (self.url, self.cluster_url):
            self.command([self.options.dpfs, "kv", "fsck", url])
            with self.mounted(url):
                for _, name, expected in (each for each in self.expected if each[0] == url):
                    path = self.mount_point / name
                    self.screen.command("host", f"sha256sum {path}")
                    found = hashlib.sha256(path.read_bytes()).hexdigest()
                    self.screen.output(found)
                    self.compare(found == expected, "the host reads what the tenant wrote")


if __name__ == "__main__":
    sys.exit(demo.main(KvDemo, __doc__))
