# SPDX-License-Identifier: Apache-2.0
"""libfuse's own high-performance example, passthrough_hp, to compare with.

Source and library are those of this machine's Debian release. They are unpacked into a folder and
built there; nothing is installed, and nothing of it becomes part of DPFS.
"""
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
import private_apt  # noqa: E402  the rig's

# All that the example is made of.
EXAMPLE = ("passthrough_hp.cc", "passthrough_helpers.h", "cxxopts.hpp")
# What libfuse's own build finds on Linux.
HAVE = ("-DHAVE_UTIMENSAT", "-DHAVE_POSIX_FALLOCATE", "-DHAVE_SETXATTR")


class LibfuseError(Exception):
    """Why there is nothing to compare with."""


def ensure(folder, say):
    """(the program, its version), fetched and built first where it is missing."""
    program, version = folder / "passthrough_hp", folder / "version"
    if program.is_file() and version.is_file():
        return program, version.read_text().strip()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        found = build(folder, program, say)
    except (private_apt.AptError, OSError, tarfile.TarError, subprocess.SubprocessError) as error:
        raise LibfuseError(str(error)) from error
    version.write_text(found + "\n")
    return program, found


def build(folder, program, say):
    if platform.machine() != "x86_64":
        raise LibfuseError(f"its packages are fetched for x86-64, this host is {platform.machine()}")
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME")
    if not suite:
        raise LibfuseError("this is no Debian release with a name")
    say(f"fetching libfuse's example from the Debian mirror, suite {suite} (15 MB, once)")
    apt = private_apt.PrivateApt(folder / "apt", private_apt.main_archive(), suite, "deb deb-src")
    apt.update()
    [package] = apt.download(["libfuse3-dev"], lambda: None)
    subprocess.run(["dpkg-deb", "-x", package, folder / "dev"], check=True)
    sources = folder / "source"
    sources.mkdir()
    apt.run("apt-get", "source", "--download-only", "fuse3", folder=sources)
    [archive] = sources.glob("fuse3_*.orig.tar.*z")
    unpack(archive, sources)
    say("building it")
    include, library = folder / "dev/usr/include/fuse3", next(folder.glob("dev/usr/lib/*/*.a"))
    made = subprocess.run(
        ["c++", "-O2", "-std=c++17", "-D_FILE_OFFSET_BITS=64", *HAVE, "-w",
         f"-I{include}",
         str(sources / EXAMPLE[0]), str(library), "-lpthread", "-ldl", "-o", str(program)],
        capture_output=True, text=True)
    if made.returncode != 0:
        raise LibfuseError("it does not compile:\n  "
                           + "\n  ".join(made.stderr.splitlines()[:8]))
    return re.search(r"fuse3_(.+)\.orig", archive.name)[1]


def unpack(archive, folder):
    """The example's files alone, whatever else the archive has."""
    with tarfile.open(archive) as packed:
        for member in packed:
            name = pathlib.PurePosixPath(member.name)
            if member.isfile() and name.parent.name == "example" and name.name in EXAMPLE:
                (folder / name.name).write_bytes(packed.extractfile(member).read())
    missing = [name for name in EXAMPLE if not (folder / name).is_file()]
    if missing:
        raise LibfuseError(f"{archive.name} has no {', '.join(missing)} any more")
