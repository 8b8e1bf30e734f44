# SPDX-License-Identifier: Apache-2.0
"""What an operation costs when there are a thousand files, and when there are millions: all in one
directory, and in a tree."""
import shutil

import kv_device as device
import kv_subjects as subjects
from stage import say

import measure
import plan

GROWN = (subjects.ROCKSDB, subjects.VALKEY, subjects.LOCAL)
LIST = "readdirplus"
JOBS = (device.NEW, "lookup", device.READ, LIST)
TITLES = {device.NEW: "4 KiB file created", "lookup": "LOOKUP",
          device.READ: "4 KiB file read by its name", LIST: "READDIRPLUS of 4 KiB"}
DIRECTORY, TREE = "one directory", "a tree"
FILES_EACH = 100  # in each folder of the tree
DEPTH = 32
TIMEOUT_S = 3600
# Of a file of 4 KiB with its records, while RocksDB rewrites what it has.
BYTES_EACH = 12 << 10


def folders(files, layout):
    return max(files // FILES_EACH, 1) if layout == TREE else 1


def run(stage):
    """results[subject][layout][files][job]: of one run each; the files are made for it."""
    results = {}
    for name in GROWN:
        if name not in stage.wanted:
            continue
        for layout in (DIRECTORY, TREE):
            for files in stage.effort.sizes:
                with subjects.begin(name, stage) as subject:
                    if subject is None:
                        break
                    if not fits(stage, subject, files):
                        continue
                    say(f"{name}, {files:,} files in {layout}")
                    found = run_one(stage, subject, files, layout)
                    if found:
                        results.setdefault(name, {}).setdefault(layout, {})[files] = found
    return results


def fits(stage, subject, files):
    if files > subject.files_max:
        return False
    if files * BYTES_EACH < shutil.disk_usage(stage.storage).free:
        return True
    stage.note(f"SKIPPED {files:,} files of {subject.name}: the disk has not the room")
    return False


def run_one(stage, subject, files, layout):
    # They go with their folder.
    group = plan.Group(f"{files} files in {layout}", JOBS, DEPTH, wait="sleep", data_file=False,
                       more=("--files", str(files), "--folders", str(folders(files, layout)),
                             "--keep"))
    bench = device.bench_of(stage, subject, timeout_s=TIMEOUT_S)
    try:
        answer = bench.run(subject.peer(stage.dpfs), group)
    except (measure.MeasureError, measure.daemon.DaemonError) as error:
        stage.note(f"FAILED {subject.name}, {group.name}: {error}")
        return None
    return {job["job"]: device.figures(job) for job in answer["jobs"] if job["operations"]}
