#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the VM tenant: a stock Debian kernel in QEMU with virtio-fs devices, running one shell job.

  tools/rig/vm.py                                     a shell in the guest (end it with 'exit')
  tools/rig/vm.py --job job.sh                        runs a script there; its exit status is ours
  tools/rig/vm.py --run 'mount -t virtiofs t /mnt && ls -l /mnt' --device /run/dpfs.sock,tag=t
  tools/rig/vm.py --device /run/a.sock,tag=a,queues=4,queue-size=1024 --smp 4 --job job.sh
  tools/rig/vm.py --probe-kvm                         says whether KVM really boots a guest here

A job finds lib.sh of tools/rig/guest in /rig. KVM is used where it boots this kernel, emulation
elsewhere.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import time

import cpio
import fetch
import recipe
from child import Child, exit_on_signals
from qmp import Qmp

GUEST_FOLDER = pathlib.Path(__file__).resolve().parent / "guest"
# Leaves out what only costs time in a guest of a few seconds. nokaslr: addresses stay the same.
KERNEL_ARGUMENTS = ("console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable no_timer_check "
                    "random.trust_cpu=on 8250.nr_uarts=1 cryptomgr.notests nokaslr")
# A broken KVM stops within a second; an honest one boots in about one.
KVM_PROBE_TIMEOUT_S = 15
# Memory slots for hot-plug: how many pc-dimm devices a guest can get.
HOTPLUG_SLOTS = 8


# The job of a guest that is used from the terminal: QEMU gets our own input and output.
SHELL = "stty echo; setsid -c sh -l"


class VmError(Exception):
    """The guest did not do what it should."""


@dataclasses.dataclass
class Device:
    """One vhost-user-fs device; None for QEMU's default number and size of request queues."""
    socket: str
    tag: str
    queues: int | None = None
    queue_size: int | None = None


@dataclasses.dataclass
class Event:
    """A line from the guest. `word` is what follows '@@', empty for ordinary output."""
    word: str
    text: str


class Vm:
    """One guest. Use as a context manager: whatever happens, QEMU ends with it."""

    def __init__(self, kit, *, job=None, devices=(), files=None, memory_mib=512, smp=1,
                 memory_max_mib=None, accelerator=None, kernel_arguments="", qemu_arguments=(),
                 name="guest"):
        self.kit = kit
        self.name = name
        self.devices = list(devices)
        self.memory_mib = memory_mib
        self.memory_max_mib = memory_max_mib
        self.smp = smp
        self.kernel_arguments = f"{KERNEL_ARGUMENTS} {kernel_arguments}"
        self.qemu_arguments = list(qemu_arguments)
        self.accelerator = accelerator or default_accelerator(kit)
        self.job = job
        self.files = dict(files or {})
        self.exit_status = None
        self.child = None
        self.folder = None
        self._qmp = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="dpfs-vm-")
        try:
            initramfs = f"{self.folder}/initramfs"
            with open(initramfs, "wb") as out:
                out.write(self.kit.initramfs.read_bytes())
                out.write(self._own_files())
            self.command = self._command(initramfs)
            if self.job != SHELL:
                self.child = Child(self.command, self.name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._qmp:
            self._qmp.close()
        if self.child:
            self.child.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own_files(self):
        archive = cpio.Archive()
        archive.file("init", (GUEST_FOLDER / "init").read_bytes(), 0o755)
        for name in ("lib.sh", "case"):
            archive.file(f"rig/{name}", (GUEST_FOLDER / name).read_bytes())
        if self.job is not None:
            archive.file("rig/job", self.job.encode())
        for path, data in self.files.items():
            data = data.read_bytes() if isinstance(data, pathlib.Path) else data
            archive.file(path, data, 0o755)
        return archive.bytes()

    def _command(self, initramfs):
        memory = f"{self.memory_mib}M"
        if self.memory_max_mib:
            memory += f",slots={HOTPLUG_SLOTS},maxmem={self.memory_max_mib}M"
        cpu = "host" if self.accelerator == "kvm" else "max"
        accelerator = "kvm" if self.accelerator == "kvm" else "tcg,thread=multi"
        arguments = [
            "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none",
            "-machine", "q35,memory-backend=memory", "-accel", accelerator, "-cpu", cpu,
            "-smp", self.smp, "-m", memory,
            # The device reads and writes the guest's memory: it has to be shareable.
            "-object", f"memory-backend-memfd,id=memory,size={self.memory_mib}M,share=on",
            "-kernel", self.kit.kernel, "-initrd", initramfs, "-append", self.kernel_arguments,
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
        ]
        for number, device in enumerate(self.devices):
            options = f"chardev=device{number},tag={device.tag}"
            if device.queues:
                options += f",num-request-queues={device.queues}"
            if device.queue_size:
                options += f",queue-size={device.queue_size}"
            arguments += ["-chardev", f"socket,id=device{number},path={device.socket}",
                          "-device", f"vhost-user-fs-pci,{options}"]
        return self.kit.qemu(*arguments, *self.qemu_arguments)

    def events(self, timeout_s):
        """Yields what the guest says until it ends. VmError when that takes over `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                stream, line = self.child.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise VmError(f"{self.name} did not end within {timeout_s:.0f} s") from None
            if stream is None:
                return
            if stream == "err":
                yield Event("", f"qemu: {line}")
                continue
            # A message without a line's end may come before a mark.
            before, mark, words = line.partition("@@ ")
            if not mark:
                yield Event("", line)
                continue
            if before.strip():
                yield Event("", before)
            word, _, rest = words.partition(" ")
            if word == "exit":
                self.exit_status = int(rest)
            yield Event(word, rest)

    def answer(self, line):
        """What the guest's 'ask' prints."""
        self.child.send(line)

    def qmp(self):
        if not self._qmp:
            self._qmp = Qmp(f"{self.folder}/qmp")
        return self._qmp

    def plug_memory(self, number, size_mib):
        """Adds a memory module to the running guest; the device gets a new memory table."""
        self.qmp().command("object-add", **{
            "qom-type": "memory-backend-memfd", "id": f"module{number}",
            "size": size_mib << 20, "share": True})
        self.qmp().command("device_add", driver="pc-dimm", id=f"dimm{number}",
                           memdev=f"module{number}")

    def kill(self):
        """kill -9: the VMM is gone without a word to the device."""
        self.child.kill()


def default_accelerator(kit):
    """'kvm' or 'tcg'. DPFS_ACCELERATOR decides; otherwise whether KVM really boots a guest."""
    chosen = os.environ.get("DPFS_ACCELERATOR")
    if chosen in {"kvm", "tcg"}:
        return chosen
    works, _ = kvm_verdict(kit)
    return "kvm" if works else "tcg"


def kvm_verdict(kit):
    """(works, why not). A boot decides, once per boot of the host: that /dev/kvm opens says little,
    for some hosts have one that cannot run a stock kernel."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "there is no /dev/kvm that this user may open"
    key = {"boot": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
           "kit": kit.folder.name, "user": os.geteuid()}
    record = recipe.cache_folder() / "kvm.json"
    try:
        known = json.loads(record.read_text())
        if known["key"] == key:
            return known["works"], known["why"]
    except (OSError, ValueError, KeyError):
        pass
    works, why = probe_kvm(kit)
    temporary = record.with_suffix(f".{os.getpid()}")
    try:
        temporary.write_text(json.dumps({"key": key, "works": works, "why": why}))
        temporary.rename(record)
    except OSError:
        pass  # The next one probes again.
    return works, why


def probe_kvm(kit):
    said = []
    try:
        with Vm(kit, job="true", accelerator="kvm", name="kvm probe") as vm:
            for event in vm.events(KVM_PROBE_TIMEOUT_S):
                said.append(event.text)
            if vm.exit_status == 0:
                return True, ""
    except VmError as error:
        return False, str(error)
    errors = [text for text in said if text.startswith("qemu: ")]
    return False, errors[0] if errors else "the guest stopped"


def run_to_end(vm, timeout_s, on_line, on_event=None):
    """Drives a guest to its end and returns its exit status, None where it died without one."""
    for event in vm.events(timeout_s):
        if on_event and event.word:
            on_event(event)
        elif not event.word:
            on_line(event.text)
    return vm.exit_status


def parse_device(text):
    path, *options = text.split(",")
    fields = {"tag": "share"} | dict(option.split("=", 1) for option in options)
    numbers = [int(fields[name]) if name in fields else None for name in ("queues", "queue-size")]
    return Device(path, fields["tag"], *numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--job", type=pathlib.Path, help="a shell script to run in the guest")
    what.add_argument("--run", metavar="COMMANDS", help="shell commands to run in the guest")
    what.add_argument("--probe-kvm", action="store_true", help="say whether KVM works here")
    parser.add_argument("--device", action="append", default=[], type=parse_device,
                        metavar="SOCKET[,tag=T][,queues=N][,queue-size=N]")
    parser.add_argument("--file", action="append", default=[], metavar="GUEST_PATH=HOST_PATH",
                        help="a file to put into the guest")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB")
    parser.add_argument("--smp", type=int, default=1, metavar="CPUS")
    parser.add_argument("--accelerator", choices=("kvm", "tcg"))
    parser.add_argument("--append", default="", help="further kernel arguments")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--prefix", default="guest| ", help="begins each line of the guest")
    arguments = parser.parse_args()
    exit_on_signals()
    try:
        kit = fetch.ensure()
        if arguments.probe_kvm:
            works, why = kvm_verdict(kit)
            print("KVM works" if works else f"KVM does not work: {why}")
            return 0 if works else 1
        job = arguments.job.read_text() if arguments.job else arguments.run
        files = dict(pair.split("=", 1) for pair in arguments.file)
        with Vm(kit, job=job or SHELL, devices=arguments.device, smp=arguments.smp,
                files={guest.strip("/"): pathlib.Path(host) for guest, host in files.items()},
                memory_mib=arguments.memory, accelerator=arguments.accelerator,
                kernel_arguments=arguments.append) as vm:
            if job is None:
                return subprocess.call(vm.command)
            status = run_to_end(
                vm, arguments.timeout, lambda text: print(arguments.prefix + text, flush=True),
                lambda event: print(f"{arguments.prefix}@@ {event.word} {event.text}", flush=True))
        return 1 if status is None else status
    except (fetch.FetchError, VmError, OSError) as error:
        print(f"rig: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
