#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches once what the VM tenant is made of, and what it works with: QEMU, a Debian kernel, guest
programs, virtiofsd, NFS-Ganesha, Valkey.

Nothing is installed and root is not needed: the packages are unpacked into a folder outside of the
source tree, ${DPFS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dpfs}, and run from there. Quick when
everything is there already.

  tools/rig/fetch.py              fetches what is missing and says where it is
  tools/rig/fetch.py --quiet      the same, silent when nothing is missing
  tools/rig/fetch.py --remove     removes all kits from the cache, older ones too

environment:
  DPFS_CACHE            where to keep it
  DPFS_DEBIAN_MIRROR    a Debian mirror's address, where the machine's own apt sources name none
"""
import argparse
import contextlib
import fcntl
import json
import lzma
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import private_apt
import recipe
import vmlinux
from kit import Kit, KitError

HELP_OFFLINE = """\
The kit is fetched once, from the Debian mirror in this machine's apt sources. Without a network,
copy the folder
  {kit}
from a machine that has it. DPFS_DEBIAN_MIRROR can name another mirror than the machine's own."""

HELP_KEYS = "The mirror's signature needs newer keys: upgrade the package debian-archive-keyring."


class FetchError(Exception):
    """Why there is no kit, and what the user can do about it."""


def say(text):
    print(f"rig: {text}", flush=True)


def ensure(on_message=say):
    """The kit, fetched first where it is missing. Other callers meanwhile wait for the first."""
    folder = recipe.kit_folder()
    if (folder / "manifest.json").is_file():
        return Kit(folder)
    if platform.machine() != "x86_64":
        raise FetchError(f"the VM tenant is an x86-64 machine, this host is {platform.machine()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.parent / "rig.lock", on_message):
            if not (folder / "manifest.json").is_file():
                fetch(folder, on_message)
    except private_apt.AptError as error:
        hint = HELP_KEYS if "NO_PUBKEY" in str(error) else HELP_OFFLINE.format(kit=folder)
        raise FetchError(f"{error}\n{hint}") from error
    except (KitError, OSError, ValueError, subprocess.SubprocessError) as error:
        raise FetchError(f"the VM kit could not be made in {folder.parent}: {error}") from error
    return Kit(folder)


@contextlib.contextmanager
def lock(path, on_message):
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_message("waiting for another process that fetches the kit")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fetch(folder, on_message):
    """Makes the kit beside `folder` and renames it: it is there wholly or not at all."""
    begin = time.monotonic()
    # Under the lock nobody else works here: what a killed run left behind is of no use to anyone.
    for stale in folder.parent.glob("partial-*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=folder.parent) as work:
        kit = Kit(f"{work}/kit")
        kit.root.mkdir(parents=True)
        packages = download(kit.folder.parent / "apt", on_message)
        on_message(f"unpacking {len(packages)} packages")
        for package in packages:
            unpack(package, kit)
        slim(kit)
        kit.initramfs.write_bytes(kit.build_initramfs())
        # The programs prove that they start before anybody relies on the kit.
        versions = {"qemu": kit.version(kit.qemu()), "virtiofsd": kit.version(kit.virtiofsd()),
                    "ganesha": kit.version(kit.ganesha(), "-v"),
                    "valkey": kit.version(kit.valkey()), "suite": recipe.SUITE,
                    "packages": sorted(package.name for package in packages)}
        (kit.folder / "manifest.json").write_text(json.dumps(versions, indent=2) + "\n")
        # There without a manifest: somebody's broken copy.
        shutil.rmtree(folder, ignore_errors=True)
        kit.folder.rename(folder)
    on_message(f"kit ready in {folder} after {time.monotonic() - begin:.0f} s "
               f"(QEMU {versions['qemu']}, virtiofsd {versions['virtiofsd']}, "
               f"Ganesha {versions['ganesha']})")


def download(folder, on_message):
    on_message(f"fetching a VM kit from the Debian mirror, suite {recipe.SUITE} (100 MB, once)")
    apt = private_apt.PrivateApt(folder, private_apt.main_archive())
    apt.update()
    wanted = set(recipe.PACKAGES)
    names = [name for name in apt.closure(recipe.PACKAGES) if name in wanted
             or (recipe.KEPT.search(name) and not recipe.LEFT_OUT.search(name))]
    names.append(apt.first_dependency(recipe.KERNEL_PACKAGE))
    progress = Progress(len(names), on_message)
    packages = apt.download(names, progress.step)
    progress.end()
    if len(packages) != len(names):
        raise KitError(f"{len(names)} packages were asked for and {len(packages)} came")
    return packages


class Progress:
    """One line that counts on a terminal, a line now and then elsewhere."""

    def __init__(self, total, on_message):
        self.total = total
        self.on_message = on_message
        self.count = 0
        self.live = sys.stdout.isatty()

    def step(self):
        self.count += 1
        if self.live:
            print(f"\rrig: downloading, package {self.count} of {self.total} ", end="", flush=True)
        elif self.count % 40 == 0:
            self.on_message(f"downloading, package {self.count} of {self.total}")

    def end(self):
        if self.live:
            print("\r\033[K", end="", flush=True)


def unpack(package, kit):
    if package.name.startswith("linux-image-"):
        with tempfile.TemporaryDirectory(dir=kit.folder) as folder:
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
            image = next(pathlib.Path(folder).glob("boot/vmlinuz-*"))
            (kit.folder / "vmlinuz").write_bytes(image.read_bytes())
            keep_modules(pathlib.Path(folder), kit)
    else:
        subprocess.run(["dpkg-deb", "-x", package, kit.root], check=True)


def keep_modules(kernel, kit):
    """Those that a guest may load, unpacked: insmod of a busybox wants them so."""
    kit.modules.mkdir()
    for name in recipe.NFS_CLIENT:
        # Packed or not, and in a file that may spell its name with '-'.
        found = [path for path in kernel.glob("**/*.ko*")
                 if path.name.split(".")[0].replace("-", "_") == name]
        if len(found) != 1:
            raise KitError(f"the kernel's package has {len(found)} modules {name}")
        data = found[0].read_bytes()
        unpacked = lzma.decompress(data) if found[0].suffix == ".xz" else data
        (kit.modules / f"{name}.ko").write_bytes(unpacked)


def slim(kit):
    """Removes what nobody reads, and takes the kernel out of its image."""
    image = kit.folder / "vmlinuz"
    kit.kernel.write_bytes(vmlinux.extract(image.read_bytes(), kit.command("usr/bin/zstd", "-dc")))
    image.unlink()
    for unused in ("etc", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian",
                   "usr/share/bug", "usr/share/bash-completion", "usr/share/qemu/keymaps"):
        shutil.rmtree(kit.root / unused, ignore_errors=True)
    other_machines = ("skiboot.lid", "hppa-firmware.img", "hppa-firmware64.img", "slof.bin")
    for firmware in other_machines:
        (kit.root / "usr/share/qemu" / firmware).unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quiet", action="store_true", help="say nothing when nothing is missing")
    parser.add_argument("--remove", action="store_true", help="remove all kits from the cache")
    arguments = parser.parse_args()
    if arguments.remove:
        for folder in recipe.cache_folder().glob("rig-*"):
            say(f"removing {folder}")
            shutil.rmtree(folder)
        return 0
    try:
        kit = ensure()
    except FetchError as error:
        print(f"rig: error: {error}", file=sys.stderr)
        return 1
    if not arguments.quiet:
        manifest = json.loads((kit.folder / "manifest.json").read_text())
        say(f"{kit.folder}: QEMU {manifest['qemu']}, virtiofsd {manifest['virtiofsd']}, "
            f"Ganesha {manifest['ganesha']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
