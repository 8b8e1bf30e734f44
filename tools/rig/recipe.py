# SPDX-License-Identifier: Apache-2.0
"""What the VM tenant is made of, and where the unpacked kit lies. A changed recipe is fetched anew.

Everything comes from one Debian suite and runs through that suite's own C library, so the same bits
run on any Debian host, nothing is installed, and one package index is all that has to be read.
Trixie has what the tests want: QEMU 10.0, the 6.12 cloud kernel (FUSE, VIRTIO_FS and VIRTIO_PCI
built in), virtiofsd 1.13, NFS-Ganesha 6.5 and Valkey 8.1. Installed, Ganesha would start itself and rpcbind as
services, and each Debian would test against another version.
"""
import hashlib
import os
import pathlib
import re

SUITE = "trixie"
ARCHITECTURE = "amd64"

# Unpacked with the libraries they need. zstd opens the kernel image: Python 3.11 cannot.
PACKAGES = (
    "qemu-system-x86",
    "virtiofsd",
    "busybox-static",
    "fio",
    "xfsprogs",
    "attr",
    "zstd",
    "nfs-ganesha",
    "nfs-ganesha-mem",
    "nfs-ganesha-vfs",
    # For the disks that Ganesha exports.
    "btrfs-progs",
    "e2fsprogs",
    # For the key-value back end. The program itself is in the package of its tools.
    "valkey-server",
    "valkey-tools",
)
# A meta package: the kernel proper is what it depends on.
KERNEL_PACKAGE = "linux-image-cloud-amd64"

# Of all that the packages above depend on, only libraries and QEMU's own files are of use here:
# nothing is configured, so the tools of maintainer scripts (debconf, adduser) are left out.
KEPT = re.compile(r"^(lib|zlib1g$|qemu-system-|seabios$)")
LEFT_OUT = re.compile(r"^lib(python|icu|pam)")

# Programs of the kit that the guest gets, with their libraries.
GUEST_PROGRAMS = ("usr/bin/fio", "usr/sbin/xfs_io", "usr/bin/setfattr")

# Modules of the kernel that the kit keeps, in the order in which they are loaded: a network card and
# the kernel's own NFS client, to compare with. The rest of the kernel's package is thrown away.
NFS_CLIENT = ("failover", "net_failover", "virtio_net", "sunrpc", "grace", "lockd", "netfs", "nfs",
              "dns_resolver", "nfsv4")

# Raised when the code that unpacks does something else with the same packages.
LAYOUT = 2


def stamp():
    """Names the recipe: two kits with the same stamp are interchangeable."""
    text = repr((SUITE, ARCHITECTURE, PACKAGES, KERNEL_PACKAGE, KEPT.pattern, LEFT_OUT.pattern,
                 GUEST_PROGRAMS, NFS_CLIENT, LAYOUT))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cache_folder():
    """Where kits are kept: outside of the source tree, so that clones share them."""
    chosen = os.environ.get("DPFS_CACHE")
    if chosen:
        return pathlib.Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "dpfs"


def kit_folder():
    return cache_folder() / f"rig-{stamp()}"
