#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Refuses an #include that the architecture forbids: which room may see which is written down here.

Prints file:line, the rule and what to do, and ends with status 1 where something is refused.

  tools/check_includes.py                 the whole of src/
  tools/check_includes.py src/fuse/x.cc   only these files
"""
import argparse
import pathlib
import re
import sys

# A room and the rooms it may see. Its own files it always sees; backend/ and transport/ hold one
# room per folder, and those never see each other. Keep this in step with CMakeLists.txt and
# ARCHITECTURE.md.
SEES = {
    "base": set(),
    "guest": {"base"},
    "io": {"base"},
    "sandbox": {"base"},
    "virtio": {"base", "guest"},
    "fuse": {"base", "guest"},
    "layer": {"base", "guest", "io", "fuse"},
    "backend": {"base", "guest", "io", "fuse"},
    "transport": {"base", "guest", "io", "virtio", "fuse"},
    "driver": {"base"},
    "responder": {"base"},
    "cli": {"base", "io", "driver"},
    "daemon": {
        "base",
        "guest",
        "io",
        "sandbox",
        "virtio",
        "fuse",
        "layer",
        "backend",
        "transport",
        "driver",
        "cli",
    },
}

# Single headers that a room may see of a room it does not see otherwise: layouts of bytes, nothing
# that does anything.
SEES_HEADERS = {
    "driver": {
        "virtio/layout.h",
        "fuse/wire.h",
        "fuse/wire_constants.h",
        "transport/vhost_user/protocol.h",
    },
    # The server's side of NFS: how bytes lie, and the protocol's numbers. Nothing of our client.
    "responder": {"backend/nfs/xdr.h", "backend/nfs/nfs4.h"},
    # The benchmark speaks FUSE to a device through the driver.
    "cli": {"fuse/wire.h", "fuse/wire_constants.h", "virtio/layout.h"},
}

# What tests of a room may see besides: files that end so, and the rooms.
TEST_FILES = ("_test.cc", "_bench.cc", "_fuzz.cc", "_harness.h")
TESTS_SEE = {"backend": {"responder"}}

# Rooms whose folders are rooms of their own.
GROUPS = {"backend", "transport"}

# Headers that take long to compile, and the rooms whose .cc files may include them.
HEAVY = {
    "spdlog/": {"base"},
    "CLI/": {"daemon", "driver", "cli", "responder"},
    "toml++/": {"daemon"},
    "nlohmann/": {"daemon", "driver", "cli"},
    "rocksdb/": {"backend"},
    "hiredis/": {"backend"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of a path below src/: ("fuse", "fuse"), ("backend", "backend/null"), or None."""
    parts = pathlib.PurePosixPath(path).parts
    if len(parts) < 2:
        return None
    if parts[0] in GROUPS:
        return (parts[0], "/".join(parts[:2])) if len(parts) > 2 else None
    return (parts[0], parts[0])


def sees(file_room, target, is_test=False):
    """Whether a file of file_room may include the header `target` (a path below src/)."""
    target_room = room_of(target)
    if target_room is None:
        return False
    group, name = file_room
    if target_room[1] == name:
        return True
    if target_room[0] == group:
        return False
    if is_test and target_room[0] in TESTS_SEE.get(group, ()):
        return True
    return target_room[0] in SEES[group] or target in SEES_HEADERS.get(group, ())


def check_include(path, bracket, target, exists):
    """Why the file `path` must not include `target`, as (rule, what to do), or None."""
    file_room = room_of(path)
    group, name = file_room
    if bracket == "<":
        for prefix, allowed in HEAVY.items():
            if not target.startswith(prefix):
                continue
            if group not in allowed:
                return (
                    f"{name}/ must not include the heavy header <{target}>",
                    f"use it in {' or '.join(sorted(allowed))}, and hand in plain values",
                )
            if not path.endswith(".cc"):
                return (
                    f"the heavy header <{target}> belongs into .cc files",
                    "declare a small interface here, include the heavy one where it is implemented",
                )
        if room_of(target) and target.split("/")[0] in SEES and exists(target):
            return (f"<{target}> is ours", f'write "{target}"')
        return None
    if not exists(target):
        return (
            f'there is no src/{target}',
            "name it by its full path below src/; headers of the system and of libraries go in <>",
        )
    if not sees(file_room, target, path.endswith(TEST_FILES)):
        allowed = sorted(SEES[group]) + sorted(SEES_HEADERS.get(group, ()))
        return (
            f"{name}/ must not see {room_of(target)[1]}/; it sees {' '.join(allowed) or 'nothing'}",
            "move what is needed down into a room both see, or hand it in from above (daemon/). "
            "Where the architecture itself is to change: ARCHITECTURE.md, CMakeLists.txt and this "
            "script change together",
        )
    return None


def check_file(source_root, path):
    """All findings of one file, as strings."""
    relative = path.relative_to(source_root).as_posix()
    room = room_of(relative)
    where = f"{source_root.name}/{relative}"
    if room is None or room[0] not in SEES:
        return [
            f"{where}:1: this file is in no room that the architecture knows\n"
            f"  to do: move it into one of {' '.join(sorted(SEES))} "
            "(in backend and transport: into a folder there)"
        ]
    findings = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        found = INCLUDE.match(line)
        if not found:
            continue
        refused = check_include(
            relative, found[1], found[2], lambda target: (source_root / target).is_file()
        )
        if refused:
            findings.append(f"{where}:{number}: {refused[0]}\n  to do: {refused[1]}")
    return findings


def source_files(source_root):
    return sorted(path for path in source_root.rglob("*") if path.suffix in {".h", ".cc", ".def"})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", type=pathlib.Path, help="files below src/ (default: all)"
    )
    arguments = parser.parse_args()
    source_root = pathlib.Path(__file__).resolve().parent.parent / "src"
    files = [path.resolve() for path in arguments.files] or source_files(source_root)
    findings = [finding for path in files for finding in check_file(source_root, path)]
    print(
        "\n".join(findings)
        if findings
        else f"{len(files)} files include only what their rooms may see"
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
