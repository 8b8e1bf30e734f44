# SPDX-License-Identifier: Apache-2.0
"""The unpacked kit: where its programs are and how they are called."""
import json
import pathlib
import re
import subprocess

import cpio
import recipe


class KitError(Exception):
    """The kit is not what it should be."""


class Kit:
    """Programs of another Debian suite, run through that suite's own loader and C library."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.kernel = self.folder / "vmlinux"
        self.initramfs = self.folder / "guest.cpio"
        self.modules = self.folder / "modules"
        self.loader = self.root / "usr/lib64/ld-linux-x86-64.so.2"
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        # fio's Ceph libraries and Ganesha's lie in folders of their own.
        self.library_path = f"{libraries}:{libraries}/ceph:{self.root}/usr/lib/ganesha"
        self.ganesha_plugins = libraries / "ganesha"

    def manifest(self):
        """Versions and packages, as they were when the kit was made."""
        return json.loads((self.folder / "manifest.json").read_text())

    def kernel_version(self):
        """As the guest's uname -r says it."""
        image = next(name for name in self.manifest()["packages"]
                     if name.startswith("linux-image-"))
        return image.removeprefix("linux-image-").split("_")[0]

    def command(self, program, *arguments):
        return [str(self.loader), "--inhibit-cache", "--library-path", self.library_path,
                str(self.root / program), *map(str, arguments)]

    def qemu(self, *arguments):
        """The VMM and where its firmware is: it would look beside its program, here the loader."""
        return self.command("usr/bin/qemu-system-x86_64", "-L", self.root / "usr/share/qemu",
                            "-L", self.root / "usr/share/seabios", *arguments)

    def module_files(self, names):
        """Modules of the guest's kernel, as files for the guest: a path there, and its content."""
        return {f"modules/{name}.ko": self.modules / f"{name}.ko" for name in names}

    def virtiofsd(self, *arguments):
        return self.command("usr/libexec/virtiofsd", *arguments)

    def ganesha(self, *arguments):
        return self.command("usr/bin/ganesha.nfsd", *arguments)

    def valkey(self, *arguments):
        return self.command("usr/bin/valkey-server", *arguments)

    def version(self, command, option="--version"):
        """The first dotted number that a program prints when asked for its version."""
        text = subprocess.run([*command, option], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        match = re.search(r"\d+(\.\d+)+", text.stdout)
        if text.returncode != 0 or not match:
            raise KitError(f"{command[-1]} does not start: {(text.stderr or text.stdout).strip()}")
        return match[0]

    def libraries_of(self, program):
        """Paths of the shared libraries a program of the kit loads, all inside of the kit."""
        listed = subprocess.run([*self.command("")[:-1], "--list", str(self.root / program)],
                                capture_output=True, text=True, timeout=60)
        if listed.returncode != 0:
            raise KitError(f"libraries of {program}: {listed.stderr.strip()}")
        paths = []
        for name, path in re.findall(r"^\s*(\S+) => (\S+)", listed.stdout, re.MULTILINE):
            if "ld-linux" in name:
                continue
            # The loader's last resort is the host's folders; the guest needs what the kit brings.
            if not path.startswith(str(self.root)):
                raise KitError(f"the kit lacks {name}, which {program} needs")
            paths.append(pathlib.Path(path))
        return paths

    def build_initramfs(self):
        """Busybox under all its names, other programs with their libraries; no /init yet."""
        archive = cpio.Archive()
        for folder in ("dev", "proc", "sys", "mnt", "tmp", "etc", "root", "bin", "lib", "lib64"):
            archive.folder(folder)
        # The kernel opens the console before /init can mount anything.
        archive.character_device("dev/console", 5, 1)
        busybox = next(path for path in (self.root / "usr/bin/busybox", self.root / "bin/busybox")
                       if path.is_file())
        archive.file("bin/busybox", busybox.read_bytes(), 0o755)
        applets = subprocess.run([str(busybox), "--list"], capture_output=True, text=True,
                                 check=True)
        for applet in applets.stdout.split():
            if applet != "busybox":
                archive.link(f"bin/{applet}", "busybox")
        archive.file("lib64/ld-linux-x86-64.so.2", self.loader.read_bytes(), 0o755)
        libraries = {}
        for program in recipe.GUEST_PROGRAMS:
            path = self.root / program
            archive.file(f"bin/{path.name}", path.read_bytes(), 0o755)
            libraries |= {library.name: library for library in self.libraries_of(program)}
        for name, library in sorted(libraries.items()):
            archive.file(f"lib/{name}", library.read_bytes(), 0o755)
        return archive.bytes()
