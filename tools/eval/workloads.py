# SPDX-License-Identifier: Apache-2.0
"""Whole jobs on files: through a mount on this machine, and in the guest by both clients."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import guest
from stage import GUEST_NFS, OURS_VIRTIO, TAG, EvalError

import daemon
import measure
import mount_compare
import mounts

UNTAR, WALK, PUT, GET, COPY = "untar", "walk", "put", "get", "copy"
TITLES = {UNTAR: "files untarred", WALK: "stat walk of a tree", PUT: "4 KiB files created",
          GET: "the same files read", COPY: "sequential copy, MiB"}
SERVERS_OWN = "the server's own directory"
MOUNT = "dpfs mount"
TIMEOUT_S = 600
FILES_EACH = 50  # in each folder of the tree
PROFILE = 20  # functions of each profile that are kept


def commands(effort, folder, program="mount_load"):
    """Each job's command line; what they make lies below `folder`."""
    count = str(effort.files)
    return {UNTAR: ["tar", "-xf", "{archive}", "-C", f"{folder}/untarred"],
            WALK: [program, "walk", folder],
            PUT: [program, "put", folder, count],
            GET: [program, "get", folder, count],
            COPY: [program, "copy", folder]}


def operations(effort):
    folders = effort.files // FILES_EACH
    return {UNTAR: effort.files, WALK: folders * FILES_EACH + folders, PUT: effort.files,
            GET: effort.files, COPY: effort.data_mib}


def prepare(stage, folder):
    """What the jobs read."""
    measure.make_data_file(folder, stage.effort.data_mib << 20)
    subprocess.run([stage.programs.parent / "bench/mount_load", "tree", folder,
                    str(stage.effort.files // FILES_EACH), str(FILES_EACH)], check=True,
                   capture_output=True, timeout=TIMEOUT_S)


def clear(folder):
    """What the jobs made. By the way by which they made it: the server would believe in what was
    removed behind its back."""
    for name in ("untarred", "put"):
        shutil.rmtree(folder / name)
    (folder / "copy").unlink()


# ---- On this machine -----------------------------------------------------------------------------

def on_host(stage):
    """results[who][job]: operations per second, of each round."""
    shared = stage.server.exported
    # Each has a directory of its own, which is only used in its way.
    folders = {SERVERS_OWN: "directly", MOUNT: "mounted"}
    for name in folders.values():
        (shared / name).mkdir()
        prepare(stage, shared / name)
    archive = stage.folder / "files.tar"
    mount_compare.make_archive(archive, stage.effort.files)
    where = pathlib.Path(tempfile.mkdtemp(dir=stage.folder))
    results = {who: {} for who in folders}

    def opened(who):
        if who == SERVERS_OWN:
            return mounts.Bare(shared)
        return mounts.Mount([stage.dpfs, "mount", "--foreground", "--log-level=warn", stage.url(),
                             where], where)
    try:
        for round_number in range(stage.effort.rounds):
            order = list(folders) if round_number % 2 == 0 else list(folders)[::-1]
            for who in order:
                # A fresh mount for each job: nothing is in the kernel's caches.
                for name in TITLES:
                    with opened(who) as mount:
                        rate = run_one(stage, mount.folder / folders[who], archive, name)
                    results[who].setdefault(name, []).append(rate)
                with opened(who) as mount:
                    clear(mount.folder / folders[who])
    except (mounts.MountError, subprocess.SubprocessError) as error:
        raise EvalError(str(error)) from None
    return results


def run_one(stage, folder, archive, name):
    program = str(stage.programs.parent / "bench/mount_load")
    command = [word.replace("{archive}", str(archive))
               for word in commands(stage.effort, str(folder), program)[name]]
    if name == UNTAR:
        (folder / "untarred").mkdir()
    begun_s = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    took_s = time.monotonic() - begun_s
    if done.returncode != 0:
        raise EvalError(f"{name}: {done.stderr.strip()}")
    if name == UNTAR:
        return stage.effort.files / took_s
    found = json.loads(done.stdout)
    return found["operations"] / found["seconds"]


# ---- In the guest --------------------------------------------------------------------------------

FOLDERS = {GUEST_NFS: "theirs", OURS_VIRTIO: "ours"}
# Each client has a directory of its own, and is mounted anew before each job.
GUEST_JOB = """\
remount() {{ umount /$1; mount_$1; }}
run() {{ # WHO JOB COMMAND...
  remount $1
  drop_caches
  name=$1-$2
  shift 2
  guest_load $name run "$@" >/tmp/said || {{ cat /tmp/said; die "$name"; }}
  grep '^@@' /tmp/said
}}
"""


def guest_job(effort):
    lines = [GUEST_JOB.format()]
    for round_number in range(min(effort.rounds, 3)):
        order = list(FOLDERS.values())
        for who in order if round_number % 2 == 0 else order[::-1]:
            folder = f"/{who}/{who}"
            lines.append(f"mkdir {folder}/untarred")
            for name, words in commands(effort, folder).items():
                line = " ".join(words).replace("{archive}", "/files.tar")
                lines.append(f"run {who} {name} {line}")
            lines.append(f"rm -rf {folder}/untarred {folder}/put {folder}/copy")
    return "\n".join([*lines, "umount /theirs", "umount /ours", ""])


def in_guest(stage):
    """results[who][job]: counts for each operation, of each round."""
    shared = stage.server.exported
    archive = stage.folder / "files.tar"
    mount_compare.make_archive(archive, stage.effort.files)
    for who in FOLDERS.values():
        (shared / who).mkdir()
        prepare(stage, shared / who)
    count = operations(stage.effort)
    socket = stage.folder / "socket"
    command = daemon.dpfs_command(stage.dpfs, socket_path=socket, tag=TAG, url=stage.url())
    results = {peer: {} for peer in FOLDERS}
    with daemon.Daemon(command, socket) as serving:
        for found in guest.measure(stage, serving, guest_job(stage.effort),
                                   {"files.tar": archive}):
            who, name = found.name.split("-", 1)
            peer = next(peer for peer, folder in FOLDERS.items() if folder == who)
            found.operations = count[name]
            results[peer].setdefault(name, []).append(
                found.per_operation() | {"profile": found.profile(PROFILE)})
    return results
