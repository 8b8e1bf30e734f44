# SPDX-License-Identifier: Apache-2.0
"""Runs `dpfs bench` against a daemon, each time a fresh one: virtiofsd serves one client and ends."""
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
import daemon  # noqa: E402  the rig's

DATA_FILE = "data"
BENCH_TIMEOUT_S = 300


class MeasureError(Exception):
    """A run that failed, and what it said."""


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    command: object  # function of (socket path, folder): the daemon's command line
    version: str


def dpfs_peer(name, program, extra=()):
    def command(socket_path, folder):
        return daemon.dpfs_command(program, socket_path=socket_path, tag="bench",
                                   url=f"local:{folder}", extra=extra)
    return Peer(name, command, version_of([str(program), "--version"]))


def null_peer(name, program, extra=()):
    def command(socket_path, _folder):
        return daemon.dpfs_command(program, socket_path=socket_path, tag="bench", url="null:",
                                   extra=extra)
    return Peer(name, command, "")


def virtiofsd_peer(name, kit):
    def command(socket_path, folder):
        # What a Linux tenant gets that must see other clients' changes, at virtiofsd's fastest.
        return kit.virtiofsd("--socket-path", socket_path, "--shared-dir", folder,
                             "--cache", "never", "--thread-pool-size", "0", "--sandbox", "none",
                             "--log-level", "error")
    return Peer(name, command, kit.version(kit.virtiofsd()))


def version_of(command):
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else "of this tree"


def make_data_file(folder, size):
    """Filled with bytes that no file system can leave out; in the page cache afterwards.

    And on the disk: a first write to blocks that have no place yet would measure the file system.
    Written page by page for the same reason: ext4 keeps what is written at once in one large
    folio, and looks at each of its blocks at every small write (20 us with 1 MiB pieces).
    """
    piece = 4 * 1024
    with open(folder / DATA_FILE, "wb", buffering=0) as file:
        for _ in range(size // piece):
            file.write(os.urandom(piece))
        os.fsync(file.fileno())


def pinned(command, core):
    if core is None or not shutil.which("taskset"):
        return command
    return ["taskset", "-c", str(core), *command]


def busy_s():
    """Seconds of processor time that all cores together have spent on anything."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """How to run the benchmark; `cores` is (daemon's, tenant's), or None to let the kernel choose.

    `servers_s`: says how much processor time a server behind the daemon has had so far.
    """

    def __init__(self, program, folder, socket_path, *, seconds, warmup_s, file_size, cores,
                 servers_s=lambda: 0.0, timeout_s=BENCH_TIMEOUT_S):
        self.program = program
        self.folder = folder
        self.socket_path = socket_path
        self.seconds = seconds
        self.warmup_s = warmup_s
        self.file_size = file_size
        self.daemon_core, self.tenant_core = cores or (None, None)
        self.servers_s = servers_s
        self.timeout_s = timeout_s
        self.others = []  # for each run, how many cores' worth of other work the machine did

    def run(self, peer, group):
        """The JSON of one run: every job of the group, one connection to a fresh daemon."""
        self.socket_path.unlink(missing_ok=True)
        command = pinned(peer.command(self.socket_path, self.folder), self.daemon_core)
        with daemon.Daemon(command, self.socket_path) as running:
            tenant = pinned(self._command(group, running.serving_pid()), self.tenant_core)
            begun_s, busy, tenants = time.monotonic(), busy_s(), children_s()
            servers = self.servers_s()
            answer = subprocess.run(tenant, capture_output=True, text=True,
                                    timeout=self.timeout_s)
            ours_s = (children_s() - tenants + running.processor_s()
                      + self.servers_s() - servers)
            self.others.append((busy_s() - busy - ours_s) / (time.monotonic() - begun_s))
            if answer.returncode != 0:
                log = "".join(f"\n  {peer.name}: {line}" for line in running.log[-5:])
                raise MeasureError(f"{peer.name}, {group.name}: {answer.stderr.strip()}{log}")
            # A store that is shared is left in order, so that the next one need not wait for it.
            running.terminate()
        return json.loads(answer.stdout)

    def _command(self, group, pid):
        command = [str(self.program), "bench", "--socket", str(self.socket_path), "--json",
                   "--pid", str(pid), "--job", ",".join(group.jobs), "--depth", str(group.depth),
                   "--wait", group.wait, "--bs", str(group.block_size),
                   "--seconds", str(self.seconds), "--warmup", str(self.warmup_s),
                   "--file-size", str(self.file_size), *group.more]
        if group.data_file and not group.null_device:
            command += ["--path", DATA_FILE]
        return command
