# SPDX-License-Identifier: Apache-2.0
"""Runs a job in the guest and counts what the guest's processor executes for it."""
import bisect
import collections
import contextlib
import dataclasses
import itertools
import threading

from stage import DATA_FILE, TAG, EvalError

import measure as host
import recipe
from vm import Device, Vm, VmError, run_to_end

TIMEOUT_S = 600
# The guest mounts dpfs on /ours and the server by its own client on /theirs.
PRELUDE = """\
. /rig/lib.sh
for module in {modules}; do insmod /modules/$module.ko || die "insmod $module"; done
ip link set lo up
ip address add {guest}/24 dev eth0
ip link set eth0 up
mount_ours() {{ mount_share {tag} /ours; }}
mount_theirs() {{
  mkdir -p /theirs
  how=vers=4.2,proto=tcp,sec=sys,hard,addr={server},clientaddr={guest},port={port}
  mount -i -t nfs4 -o $how {server}:/{export} /theirs ||
    die "the guest's own NFS client cannot mount"
}}
mount_ours
mount_theirs
cat /proc/kallsyms >/ours/{symbols}
"""
# A new one each time: the server believes in what was removed behind its back.
SYMBOLS_FILES = (f"kallsyms-{number}" for number in itertools.count())


@dataclasses.dataclass
class Measured:
    """What lies between a begin and an end mark of guest_load."""
    name: str
    operations: int
    seconds: float
    interrupts: int  # of virtio devices
    kernel: int  # instructions
    user: int
    functions: dict  # kernel instructions by function
    calls: dict  # how often each was called

    def per_operation(self):
        return {"kernel": self.kernel / self.operations, "user": self.user / self.operations,
                "interrupts": self.interrupts / self.operations,
                # Each notification of a virtqueue, to whatever device.
                "kicks": self.calls.get("vp_notify", 0) / self.operations}

    def profile(self, count):
        """The functions that take most, as (name, instructions and calls for each operation)."""
        most = sorted(self.functions.items(), key=lambda item: -item[1])[:count]
        return [(name, total / self.operations, self.calls.get(name, 0) / self.operations)
                for name, total in most]


class Symbols:
    """The guest's /proc/kallsyms."""

    def __init__(self, text):
        found = []
        for line in text.splitlines():
            address, kind, name = line.split()[:3]
            if kind in "tTwW":
                found.append((int(address, 16), name))
        found.sort()
        self.addresses = [address for address, _ in found]
        self.names = [name for _, name in found]

    def at(self, address):
        """(the function, whether it begins there)"""
        place = bisect.bisect_right(self.addresses, address) - 1
        if place < 0:
            return "?", False
        return self.names[place], self.addresses[place] == address


def parse_counts(text, symbols):
    """What count_plugin writes: (kernel, user, instructions by function, calls by function)."""
    lines = text.splitlines()
    kernel, user = map(int, lines[0].split())
    functions, calls = collections.Counter(), collections.Counter()
    for line in lines[1:]:
        address, instructions, executions = line.split()
        name, begins = symbols.at(int(address, 16))
        functions[name] += int(instructions)
        if begins:
            calls[name] += int(executions)
    return kernel, user, dict(functions), dict(calls)


@contextlib.contextmanager
def ends_with(daemon, vm):
    """A guest whose file system is gone would wait for ever."""
    over = threading.Event()

    def watch():
        while not over.wait(0.5):
            if not daemon.running():
                vm.kill()
                return
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    over.set()
    watcher.join()


def measure(stage, daemon, job, files=None):
    """Runs the shell script `job` in the guest; returns what was measured there, in order.

    `daemon`: whose device is mounted on /ours.
    """
    counts = stage.folder / "counts"
    symbols_name = next(SYMBOLS_FILES)
    for stale in stage.folder.glob("counts.*"):
        stale.unlink()
    prelude = PRELUDE.format(
        modules=" ".join(recipe.NFS_CLIENT), tag=TAG, guest=stage.network.guest_address,
        server=stage.network.server_for_guest(), port=stage.server.port,
        export=stage.server.NAME, symbols=symbols_name)
    guest_files = {"bin/guest_load": stage.programs / "guest_load",
                   "bin/mount_load": stage.programs / "guest_mount_load",
                   **stage.kit.module_files(recipe.NFS_CLIENT), **(files or {})}
    plugin = ["-plugin", f"file={stage.programs}/count_plugin.so,out={counts}"]
    said, measured = [], []

    def note(event):
        if event.word == "measured":
            measured.append(event.text.split())
    try:
        with Vm(stage.kit, job=prelude + job, devices=[Device(str(daemon.socket_path), TAG)],
                files=guest_files, memory_mib=1024, accelerator="tcg", name="tenant",
                qemu_arguments=[*plugin, *stage.network.qemu_arguments()]) as vm, \
                ends_with(daemon, vm):
            status = run_to_end(vm, TIMEOUT_S, said.append, note)
    except VmError as error:
        raise EvalError(f"{error}: {' / '.join(said[-3:])}") from None
    if not daemon.running():
        raise EvalError(f"the daemon ended: {' / '.join(daemon.log[-2:])}")
    if status != 0:
        raise EvalError(f"the guest ended with {status}: {' / '.join(said[-5:])}")
    symbols = Symbols((stage.server.exported / symbols_name).read_text())
    found = []
    for number, (name, operations, seconds, interrupts) in enumerate(measured):
        path = counts.with_name(f"counts.{number}")
        found.append(Measured(name, int(operations), float(seconds), int(interrupts),
                              *parse_counts(path.read_text(), symbols)))
        path.unlink()
    return found


def make_data(stage):
    """The file that is read and written at random places."""
    host.make_data_file(stage.server.exported, stage.effort.data_mib << 20)
    return stage.server.exported / DATA_FILE
