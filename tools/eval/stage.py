# SPDX-License-Identifier: Apache-2.0
"""What all parts of the evaluation share: the peers' names, the stage they are measured on."""
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools/rig"), str(ROOT / "tools/bench")]

# Who is measured, in the order of the columns.
GUEST_NFS = "NFS in the guest"
OURS = "dpfs"
OURS_VIRTIO = "virtio-fs, dpfs"
COLOURS = {GUEST_NFS: "#9a9a9a", OURS_VIRTIO: "#1f77b4"}

DATA_FILE = "data"
TAG = "share"


def say(text):
    print(f"eval: {text}", flush=True)


class EvalError(Exception):
    """A part that cannot be measured, and why."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is done of everything."""
    rounds: int
    seconds: float  # of each run on the host
    depth1: int  # operations in the guest
    depth32: int
    files: int  # of the archive, of the tree, and small ones
    data_mib: int


FULL = Effort(rounds=5, seconds=1.5, depth1=1000, depth32=6400, files=1000, data_mib=64)
QUICK = Effort(rounds=2, seconds=0.4, depth1=300, depth32=1600, files=100, data_mib=16)


@dataclasses.dataclass
class Stage:
    """What every part gets."""
    kit: object
    server: object  # rig's Ganesha
    network: object  # how the guest reaches it
    programs: pathlib.Path  # the folder with the loads
    dpfs: pathlib.Path
    effort: Effort
    folder: pathlib.Path  # for sockets and what is not kept
    notes: list  # what the reader has to know
    benches: list = dataclasses.field(default_factory=list)  # which know what else the machine did

    def serves_nfs(self):
        usage = subprocess.run([self.dpfs, "serve", "--help"], capture_output=True, text=True)
        return "nfs://" in usage.stdout

    def url(self):
        """What dpfs is told to serve."""
        if self.serves_nfs():
            return self.server.url()
        self.note("NOT NFS: this dpfs has no nfs:// yet; local: serves the server's directory")
        return f"local:{self.server.exported}"

    def noise(self):
        """Cores' worth of work by others than us, while the host was measured; None: it was not."""
        others = [value for bench in self.benches for value in bench.others]
        return max(statistics.median(others), 0) if others else None

    def note(self, text):
        if text not in self.notes:
            say(text)
            self.notes.append(text)


class Tap:
    """A network card of the guest that ends here: TCP segmentation offload and checksums are the
    host's, as with any virtio-net of today. Needs root and /dev/net/tun."""

    name = "a tap device of the host, with segmentation and checksum offload"
    # 198.18.0.0/15 is nobody's: it is for measuring (RFC 2544).
    host_address = "198.18.255.1"
    guest_address = "198.18.255.2"
    _DEVICE = "dpfseval"

    def __enter__(self):
        for words in (f"tuntap add dev {self._DEVICE} mode tap vnet_hdr",
                      f"address add {self.host_address}/30 dev {self._DEVICE}",
                      f"link set {self._DEVICE} up"):
            done = subprocess.run(["ip", *words.split()], capture_output=True, text=True,
                                  timeout=30)
            if done.returncode != 0:
                self.__exit__()
                raise EvalError(f"ip {words}: {done.stderr.strip()}")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "delete", self._DEVICE], capture_output=True, check=False)

    def qemu_arguments(self):
        return ["-netdev", f"tap,id=network,ifname={self._DEVICE},script=no,downscript=no",
                "-device", "virtio-net-pci,netdev=network,romfile="]

    def server_for_guest(self):
        return self.host_address


class UserNetwork:
    """QEMU's own TCP/IP in user space: works everywhere, and cuts everything into small packets."""

    name = "QEMU's user network, without segmentation offload"
    host_address = "127.0.0.1"
    guest_address = "10.0.2.15"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def qemu_arguments(self):
        return ["-netdev", "user,id=network",
                "-device", "virtio-net-pci,netdev=network,romfile="]

    def server_for_guest(self):
        return "10.0.2.2"


def has_tap():
    return os.access("/dev/net/tun", os.R_OK | os.W_OK)
