# SPDX-License-Identifier: Apache-2.0
"""Jobs on mounts of this machine, through the kernel: one program, one file after the other."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import kv_subjects as subjects
from kv_stage import in_turn
from stage import say

import measure
import mounts

MOUNTED = (subjects.ROCKSDB, subjects.VALKEY, subjects.CLUSTER, subjects.LOCAL, subjects.NFS,
           subjects.S3QL, subjects.BARE)
PUT, GET, CREATE, STAT, LIST, UNLINK = "put", "get", "create", "stat", "walk", "unlink"
TITLES = {PUT: "4 KiB files written", GET: "4 KiB files read", CREATE: "empty files created",
          STAT: "stat by path", LIST: "tree listed, with stat", UNLINK: "files deleted"}
FILES_EACH = 50  # in each folder of the tree
TIMEOUT_S = 300
END_S = 60  # in which S3QL stores what it has in memory


def folders(effort):
    return effort.mounted // FILES_EACH


def arguments(effort):
    count = str(effort.mounted)
    return {PUT: [count], GET: [count], CREATE: [count], LIST: [], UNLINK: [count],
            STAT: [count, "1", str(folders(effort)), str(FILES_EACH)]}


def opened(stage, subject, where):
    if subject.name == subjects.BARE:
        return mounts.Bare(subject.folder)
    if subject.s3ql is not None:
        found = subject.s3ql
        settings = [f"{name}={value}" for name, value in found.settings.items()]
        return mounts.Mount(["env", *settings, *found.mount_command(
            subject.folder / "storage", subject.folder / "cache", where)], where, END_S)
    create = ["--create"] if subject.create else []
    return mounts.Mount([stage.dpfs, "mount", "--foreground", "--log-level=warn", *create,
                         subject.url, where], where)


def run(stage):
    """results[subject][job]: what each round found."""
    results, broken = {}, set()
    names = [name for name in MOUNTED if name in stage.wanted]
    where = pathlib.Path(tempfile.mkdtemp(dir=stage.sockets))
    with subjects.begin_all(names, stage) as found:
        for subject in found:
            try:
                with opened(stage, subject, where) as mount:
                    load(stage, "tree", mount.folder, [str(folders(stage.effort)),
                                                       str(FILES_EACH)])
            except (mounts.MountError, OSError, subprocess.SubprocessError) as error:
                broken.add(subject.name)
                stage.note(f"FAILED {subject.name}, on a mount: {error}")
        for round_number in range(stage.effort.rounds):
            for subject in in_turn(found, round_number):
                if subject.name in broken:
                    continue
                try:
                    run_round(stage, subject, where, results.setdefault(subject.name, {}))
                except (mounts.MountError, OSError, subprocess.SubprocessError) as error:
                    broken.add(subject.name)
                    stage.note(f"FAILED {subject.name}, on a mount: {error}")
            say(f"round {round_number + 1} of {stage.effort.rounds} is done")
    return results


def run_round(stage, subject, where, results):
    # Each job on a mount of its own: the kernel and the daemon have nothing in their caches.
    for job, words in arguments(stage.effort).items():
        with opened(stage, subject, where) as mount:
            before = snapshot(mount, subject)
            said = load(stage, job, mount.folder, words)
            results.setdefault(job, []).append(
                figures(said, before, snapshot(mount, subject), stage))
    with opened(stage, subject, where) as mount:
        shutil.rmtree(mount.folder / "put")


def snapshot(mount, subject):
    return {"at_s": time.monotonic(), "busy_s": measure.busy_s(),
            "daemons_s": mount.processor_s() + subject.servers_s(),
            "loads_s": measure.children_s()}


def figures(said, before, after, stage):
    """Rate, and the processor time of daemon and servers for each operation."""
    spent = {name: after[name] - before[name] for name in before}
    stage.others.append((spent["busy_s"] - spent["daemons_s"] - spent["loads_s"])
                        / spent["at_s"])
    return {"rate": said["operations"] / said["seconds"],
            "cpu_us": spent["daemons_s"] / said["operations"] * 1e6}


def load(stage, job, folder, words):
    command = [str(stage.programs / "mount_load"), job, str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise mounts.MountError(f"{job}: {done.stderr.strip()}")
    return json.loads(done.stdout)
