# SPDX-License-Identifier: Apache-2.0
"""S3QL, to compare with: a file system whose inodes and names are rows of a database (SQLite) and
whose contents are objects in a folder.

Its package and Python's, of the suite that the rig's kit is from, are unpacked into a folder of the
cache and run from there; nothing is installed.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import recipe  # the rig's
import private_apt

# Of what it depends on: programs that maintainer scripts call are left out.
KEPT = re.compile(r"^(s3ql$|python3|lib|zlib1g$)")
LEFT_OUT = re.compile(r"^lib(pam|debconf|semanage|sepol|audit)")


class S3qlError(Exception):
    """Why there is none to compare with."""


class S3ql:
    """The programs, unpacked."""

    def __init__(self, root):
        self.root = root
        libraries = root / "usr/lib/x86_64-linux-gnu"
        self._loader = [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--inhibit-cache",
                        "--library-path", str(libraries)]
        self._python = next((root / "usr/bin").glob("python3.[0-9]*"))
        # What its Python has to be told, as variables of the environment.
        self.settings = {"PYTHONHOME": str(root / "usr"),
                         "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
                         "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, program, *arguments):
        return [*self._loader, str(self._python), str(self.root / "usr/bin" / program),
                *map(str, arguments)]

    def version(self):
        said = self._run("mount.s3ql", "--version")
        return said.split()[1]

    def make(self, storage, cache):
        """A file system, not encrypted: nobody else here encrypts."""
        self._run("mkfs.s3ql", "--plain", "--cachedir", cache, f"local://{storage}")

    def mount_command(self, storage, cache, where):
        return self.command("mount.s3ql", "--fg", "--compress", "none", "--cachedir", cache,
                            f"local://{storage}", where)

    def _run(self, program, *arguments):
        done = subprocess.run(self.command(program, *arguments), env=os.environ | self.settings,
                              text=True, capture_output=True, timeout=60)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise S3qlError(f"{program}: {said[-1] if said else done.returncode}")
        return done.stdout


def ensure(say):
    """Fetched first where it is missing."""
    folder = recipe.cache_folder() / f"s3ql-{recipe.SUITE}"
    try:
        if not folder.is_dir():
            fetch(folder, say)
        found = S3ql(folder / "root")
        found.version()
    except (private_apt.AptError, OSError, StopIteration, subprocess.SubprocessError) as error:
        raise S3qlError(str(error)) from error
    return found


def fetch(folder, say):
    """Makes the folder beside its place and renames it: it is there wholly or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="s3ql-partial-", dir=folder.parent) as work:
        say(f"fetching S3QL from the Debian mirror, suite {recipe.SUITE} (30 MB, once)")
        apt = private_apt.PrivateApt(pathlib.Path(work) / "apt", private_apt.main_archive())
        apt.update()
        names = [name for name in apt.closure(["s3ql"])
                 if KEPT.search(name) and not LEFT_OUT.search(name)]
        made = pathlib.Path(work) / "made"
        made.mkdir()
        for package in apt.download(names, lambda: None):
            subprocess.run(["dpkg-deb", "-x", package, made / "root"], check=True)
        for unused in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(made / "root" / unused, ignore_errors=True)
        made.rename(folder)
