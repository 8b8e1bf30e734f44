#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real NFS server for tests: NFS-Ganesha with a file system of its own to export.

  tools/rig/ganesha.py                        serves until it is told to end; prints its URL
  tools/rig/ganesha.py --port 20490 --size 64      a disk of 64 MiB, which is full soon
  tools/rig/ganesha.py --quota 16             EDQUOT after 16 MiB
  tools/rig/ganesha.py --fsal MEM             keeps files in its memory: a restart loses them
  tools/rig/ganesha.py --namespace            in a network namespace, behind a cable one can cut

Needs root. Everything it makes lies in one temporary folder (the disk's image, configuration, log,
what it remembers of clients over a restart) and goes with it; so do mount and namespace. While it
runs it takes commands from standard input, one a line: stop, kill, start, restart, pause, resume,
cut, mend, log, quit.
"""
import argparse
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import time

import fetch
from child import Child, exit_on_signals
from disk import Disk, DiskError
from link import Link, LinkError

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
# What its log says when it serves; and when it does not serve what it should.
READY = "NFS SERVER INITIALIZED"
NO_EXPORT = ("Could not create export", "could not be created", "No export entries found",
             "Error while parsing")
# Its clients' attributes are as fresh as those here: what tests change beside it is seen at once.
CONFIGURATION = """\
NFS_CORE_PARAM {{
  NFS_Port = {port};
  Bind_addr = {address};
  Protocols = 4;
  Plugins_Dir = "{plugins}";
  Enable_NLM = false;
  Enable_RQUOTA = false;
  Enable_UDP = false;
  fsid_device = true;
  Allow_Set_Io_Flusher_Fail = true;
}}
NFSV4 {{
  Lease_Lifetime = {lease_s};
  Grace_Period = {grace_s};
  Minor_Versions = 0, 1, 2;
  RecoveryBackend = fs_ng;
  RecoveryRoot = "{folder}/recovery";
  Delegations = false;
  Graceless = false;
  Only_Numeric_Owners = true;
  Slot_Table_Size = {slots};
  # A client whose lease is over is forgotten, as with servers that are less patient.
  Expired_Client_Threshold = 0;
}}
EXPORT_DEFAULTS {{
  SecType = sys;
  Squash = No_Root_Squash;
  Access_Type = RW;
  Protocols = 4;
  Transports = TCP;
  Attr_Expiration_Time = 0;
}}
# FSAL MEM keeps so much of each file; the rest of what is written is forgotten.
MEM {{
  Inode_Size = 65536;
}}
EXPORT {{
  Export_Id = 1;
  Path = "{exported}";
  Pseudo = /{name};
  FSAL {{ Name = {fsal}; }}
}}
"""


class GaneshaError(Exception):
    """The server does not do what it should."""


class Ganesha:
    """The server, running. `exported` is the directory that clients see, None with FSAL MEM.

    fsal         VFS: a disk of `size_mib`, or of what `quota_mib` allows; MEM: its memory
    address      where it listens; port 0 is any free one
    namespace    it runs in a network namespace and `address` is chosen; cut() and mend() work
    """

    NAME = "exp"

    def __init__(self, kit, *, fsal="VFS", size_mib=1024, quota_mib=None, address="127.0.0.1",
                 port=0, namespace=False, lease_s=5, grace_s=5, slots=256):
        self.kit = kit
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-ganesha-"))
        self.child = self.disk = self.link = self.exported = None
        self._started_s = 0
        try:
            (self.folder / "recovery").mkdir()
            self.log_path = self.folder / "log"
            if fsal == "VFS":
                self.disk = Disk(kit, self.folder, size_mib=size_mib, quota_mib=quota_mib)
                self.exported = self.disk.path / self.NAME
                self.exported.mkdir()
            if namespace:
                self.link = Link()
                address = self.link.address
            self.address = address
            self.port = port or (2049 if namespace else free_port(address))
            self._configuration = self.folder / "ganesha.conf"
            self._configuration.write_text(CONFIGURATION.format(
                port=self.port, address=address, plugins=kit.ganesha_plugins, lease_s=lease_s,
                grace_s=grace_s, folder=self.folder, slots=slots, name=self.NAME, fsal=fsal,
                exported=self.exported or f"/{self.NAME}"))
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def url(self, path="", **options):
        """What dpfs is given: nfs://address:port/exp/path?option=value&switch, of True the latter"""
        host = f"[{self.address}]" if ":" in self.address else self.address
        query = "&".join(name if value is True else f"{name}={value}"
                         for name, value in options.items())
        return (f"nfs://{host}:{self.port}/{self.NAME}" + (f"/{path}" if path else "")
                + (f"?{query}" if query else ""))

    def start(self):
        """Once more, with what it has written down about its clients: they may reclaim their state.

        Returns when it answers.
        """
        # It tells its lives apart by the second in which they began.
        while int(time.time()) <= self._started_s:
            time.sleep(0.05)
        self._started_s = int(time.time())
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = self.kit.ganesha("-F", "-f", self._configuration, "-L", self.log_path,
                                   "-p", self.folder / "pid", "-N", "NIV_EVENT")
        self.child = Child(self.link.command(command) if self.link else command, "ganesha")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready(before):
            if not self.child.running() or time.monotonic() > deadline:
                raise GaneshaError(f"ganesha does not start: {self.last_words()}")
            time.sleep(0.02)

    def _ready(self, before):
        text = self.log(before)
        wrong = next((line for line in text.splitlines()
                      if any(sentence in line for sentence in NO_EXPORT)), None)
        if wrong:
            raise GaneshaError(f"ganesha: {wrong}")
        return READY in text

    def stop(self):
        """As a service manager does."""
        status, _ = self.child.terminate(STOP_TIMEOUT_S)
        self.child.close()
        return status

    def kill(self):
        """As a crash does."""
        self.child.close()

    def restart(self):
        self.stop()
        self.start()

    def lose_power(self):
        """As if the plug were pulled: what its disk has not been told to keep is gone, too."""
        self.pause()
        self.disk.shut_down()
        self.kill()
        self.disk.mount_again()

    def pause(self):
        """It takes connections and bytes, for the kernel does, and answers nothing."""
        self.child.process.send_signal(signal.SIGSTOP)
        # Its threads stop one by one: until the last has, one could still answer.
        os.waitid(os.P_PID, self.child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self):
        self.child.process.send_signal(signal.SIGCONT)

    def cut(self):
        self.link.cut()

    def mend(self):
        self.link.mend()

    def slow_down(self, rate):
        """The way there has this rate, as tc writes it ('1mbit'); None: as fast as ever."""
        self.link.slow_down(rate)

    def clients(self):
        """Names of the clients that could reclaim state after a restart: those it knows."""
        return sorted(path.name for path in (self.folder / "recovery").glob("v4recov/node0/*"))

    def running(self):
        return self.child is not None and self.child.running()

    def log(self, begin=0):
        try:
            with open(self.log_path, "rb") as file:
                file.seek(begin)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def last_words(self):
        """The end of its log without the date and who said it, for a report."""
        lines = [line.partition("] ")[2] or line for line in self.log().splitlines()]
        # What it says about Kerberos and D-Bus in any case is of no interest to anyone.
        lines = [line for line in lines if "dbus" not in line.lower() and "principal" not in line]
        return " / ".join(lines[-4:]) or "nothing in its log"

    def close(self):
        if self.child:
            self.resume_quietly()
            self.child.close()
        if self.link:
            self.link.close()
        if self.disk:
            self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def resume_quietly(self):
        """A stopped process is killed all the same; but it should not be left stopped if not."""
        if self.child.running():
            self.resume()


def free_port(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def serve_commands(server):
    """Until end of input or 'quit'."""
    commands = {"stop": server.stop, "kill": server.kill, "start": server.start,
                "restart": server.restart, "pause": server.pause, "resume": server.resume,
                "cut": server.cut, "mend": server.mend,
                "log": lambda: print(server.log(), end="")}
    for line in sys.stdin:
        word = line.strip()
        if word == "quit":
            return
        if word not in commands:
            if word:
                print(f"one of: {' '.join(commands)} quit", flush=True)
            continue
        if word in {"cut", "mend"} and not server.link:
            print("only with --namespace is there a cable", flush=True)
            continue
        commands[word]()
        print(f"{word}: {'running' if server.running() else 'not running'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fsal", choices=("VFS", "MEM"), default="VFS")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the disk (1024)")
    parser.add_argument("--quota", type=int, metavar="MIB", help="EDQUOT beyond this (btrfs)")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--namespace", action="store_true", help="in one, behind a cable")
    parser.add_argument("--lease", type=int, default=5, metavar="SECONDS")
    parser.add_argument("--grace", type=int, default=5, metavar="SECONDS")
    parser.add_argument("--slots", type=int, default=256, help="of each session")
    options = parser.parse_args()
    exit_on_signals()
    try:
        with Ganesha(fetch.ensure(), fsal=options.fsal, size_mib=options.size,
                     quota_mib=options.quota, address=options.address, port=options.port,
                     namespace=options.namespace, lease_s=options.lease, grace_s=options.grace,
                     slots=options.slots) as server:
            print(f"{server.url()}\nexports {server.exported or 'its memory'}, process "
                  f"{server.child.pid}, log {server.log_path}", flush=True)
            serve_commands(server)
            # Without a terminal or a pipe: until a signal comes.
            if not sys.stdin.isatty() and os.path.samefile("/dev/stdin", "/dev/null"):
                signal.pause()
    except (fetch.FetchError, GaneshaError, DiskError, LinkError, OSError) as error:
        print(f"ganesha: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
