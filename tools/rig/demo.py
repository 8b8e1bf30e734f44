#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows DPFS at work: serves a scratch directory and boots a stock Linux VM that mounts it.

  tools/rig/demo.py --dpfs build/release/dpfs
  tools/rig/demo.py --dpfs build/release/dpfs --verbose     with what QEMU and dpfs log
  tools/rig/demo_nfs.py --dpfs build/release/dpfs           the same with an NFS server behind it
  tools/rig/demo_kv.py --dpfs build/release/dpfs            the same with key-value stores behind it

Everything it starts ends with it, and the scratch directory is removed. Kernel and QEMU are fetched
once and cached. Exit status 0 when what was written on one side was read the same on the other.
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

import daemon as daemons
import fetch
from child import exit_on_signals
from vm import Device, Vm, VmError, default_accelerator

TAG = "share"
MIB = 1 << 20
FILE_MIB = 16
TREE_FILES = 500
TIMEOUT_S = 120
QUEUES = 2
JOB = (pathlib.Path(__file__).resolve().parent / "guest" / "demo.sh")


class Screen:
    """Prints the transcript: who does what. Colours on a terminal only."""

    COLOURS = {"title": "1", "host": "36", "tenant": "33", "good": "32", "bad": "31", "dim": "2"}

    def __init__(self):
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, kind, text):
        return f"\033[{self.COLOURS[kind]}m{text}\033[0m" if self.coloured else text

    def line(self, text=""):
        print(text, flush=True)

    def title(self, text):
        self.line()
        self.line(self.paint("title", text))

    def command(self, who, text):
        prompt = {"host": "host$", "tenant": "tenant#"}[who]
        self.line(f"  {self.paint(who, prompt)} {text}")

    def output(self, text):
        self.line(f"      {text}")

    def verdict(self, good, text):
        self.line("  " + self.paint("good" if good else "bad", text))


class Demo:
    """Serves a local directory. Others serve something else and go on with other steps."""

    title = "1. The operator serves a directory"
    jobs = (JOB,)
    steps = 7
    # What else may go wrong, and ends it with a message.
    errors = ()

    def __init__(self, options, screen):
        self.options = options
        self.screen = screen
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-demo-"))
        self.share = self.folder / "share"
        self.share.mkdir()
        self.url = f"local:{self.share}"
        self.socket = self.folder / "socket"
        self.sums = {}
        self.good = True

    def run(self, kit):
        begin = time.monotonic()
        screen = self.screen
        screen.title(self.title)
        self.introduce()
        command = daemons.dpfs_command(self.options.dpfs, socket_path=self.socket, tag=TAG,
                                       url=self.url, queues=QUEUES)
        screen.command("host", " ".join(command))
        self.write_files()
        with daemons.Daemon(command, self.socket, self.daemon_line) as daemon, \
             self.more_devices() as more:
            accelerator = default_accelerator(kit)
            screen.title("2. A tenant boots: a Debian kernel as it comes, nothing installed")
            how = "by KVM" if accelerator == "kvm" else "emulated: KVM does not work here"
            screen.output(f"QEMU, 2 processors, {how}")
            job = "".join(path.read_text() for path in self.jobs)
            devices = [Device(str(self.socket), TAG, QUEUES), *more]
            with Vm(kit, job=job, devices=devices, smp=2, accelerator=accelerator,
                    name="tenant") as vm:
                self.follow(vm)
            if vm.exit_status != 0:
                self.fail("the tenant ended with an error")
            self.show_counters(daemon)
            status, _ = daemon.terminate()
            if status != 0:
                self.fail(f"the daemon ended with status {status}")
        self.check_afterwards()
        screen.title("Done" if self.good else "Failed")
        screen.verdict(self.good, f"{'all sums are equal; ' if self.good else ''}"
                                  f"{time.monotonic() - begin:.1f} s in total")
        return self.good

    def introduce(self):
        """What is there before dpfs is."""

    @contextlib.contextmanager
    def more_devices(self):
        """What the tenant gets beside the share."""
        yield []

    def check_afterwards(self):
        """When nobody serves any longer."""

    def write_files(self):
        data = os.urandom(FILE_MIB * MIB)
        (self.share / "from_host").write_bytes(data)
        self.sums["from_host"] = hashlib.sha256(data).hexdigest()
        self.screen.command("host", f"head -c {FILE_MIB}M /dev/urandom > {self.share}/from_host")
        self.screen.command("host", f"sha256sum {self.share}/from_host")
        self.screen.output(self.sums["from_host"])

    def follow(self, vm):
        """Prints what the tenant does, as it does it, and answers its questions."""
        for event in vm.events(TIMEOUT_S):
            if event.word == "title":
                self.screen.title(event.text)
            elif event.word == "run":
                self.screen.command("tenant", event.text)
            elif event.word == "ask":
                question, *words = event.text.split()
                vm.answer(getattr(self, f"answer_{question}")(*words))
            elif event.word == "up":
                self.screen.output(f"up after {event.text} s of its own time")
            elif not event.word:
                self.tenant_line(event.text)

    def tenant_line(self, text):
        noise = text.startswith(("qemu: ", "[")) or not text.strip()
        if self.options.verbose or not noise:
            self.screen.output(text)

    def daemon_line(self, text):
        if self.options.verbose and not daemons.COUNTER_LINE.search(text):
            self.screen.line(self.screen.paint("dim", f"      {text}"))

    def answer_read(self, name, found):
        """The tenant read a file of the host's and found this sum."""
        self.compare(found == self.sums[name], "the tenant read what the host wrote")
        return "thanks"

    def answer_wrote(self, name, expected):
        """The tenant wrote a file: the host reads it."""
        self.screen.command("host", f"sha256sum {self.share}/{name}")
        found = hashlib.sha256((self.share / name).read_bytes()).hexdigest()
        self.screen.output(found)
        self.compare(found == expected, "the host reads what the tenant wrote")
        return "thanks"

    def answer_unpacked(self, count):
        self.screen.command("host", f"find {self.share}/tree -type f | wc -l")
        files = [path for path in (self.share / "tree").rglob("*") if path.is_file()]
        self.screen.output(str(len(files)))
        self.compare(len(files) == int(count) == TREE_FILES, "both sides see the same tree")
        return "thanks"

    def compare(self, equal, sentence):
        self.screen.verdict(equal, f"equal: {sentence}" if equal else f"NOT TRUE: {sentence}")
        self.good = self.good and equal

    def fail(self, sentence):
        self.screen.verdict(False, sentence)
        self.good = False

    def show_counters(self, daemon):
        """The device's own account, which dpfs logs on SIGUSR1."""
        self.screen.title(f"{self.steps}. What the device did")
        self.screen.command("host", f"kill -USR1 {daemon.pid}")
        counters = sorted(daemon.ask_counters(), key=lambda counter: -counter.requests)
        if not counters:
            self.fail("the daemon did not log its counters")
        total = sum(counter.requests for counter in counters)
        for counter in counters[:10]:
            size = f"{counter.size / MIB:10.1f} MiB" if counter.size else ""
            self.screen.output(f"{counter.operation:16} {counter.requests:8}  {size}".rstrip())
        self.screen.output(f"{'all operations':16} {total:8}  in {daemon.processor_s():.2f} s of "
                           f"processor time, {daemon.resident_mib():.1f} MiB resident")

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def main(kind=Demo, description=__doc__):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dpfs", type=pathlib.Path, default=pathlib.Path("build/release/dpfs"))
    parser.add_argument("--verbose", action="store_true", help="also what QEMU and dpfs log")
    options = parser.parse_args()
    exit_on_signals()
    try:
        if not os.access(options.dpfs, os.X_OK):
            raise fetch.FetchError(f"there is no program {options.dpfs}; ./dev demo builds it")
        kit = fetch.ensure()
        demo = kind(options, Screen())
        try:
            return 0 if demo.run(kit) else 1
        finally:
            demo.close()
    except (fetch.FetchError, daemons.DaemonError, VmError, OSError, *kind.errors) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
