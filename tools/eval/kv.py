#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Evaluates the key-value back end beside what else a tenant could be given: whole small files, as
in Table 3 of the DPFS paper, what they cost, and how that grows.

  device   whole 4 KiB files through a device at depth 1 and 32: RocksDB, Valkey (one server, and a
           cluster of 3 primaries and 3 replicas), a local directory, NFS over a real server
  mounts   write, read, create, stat, list and delete on mounts of this machine; also S3QL (a file
           system on SQLite) and the directory itself
  growth   the same operations with 10^3 to 10^6 files, in one directory and in a tree
  memory   what each further idle file system of a daemon takes

Writes kv.md, kv.json and plots (SVG) to build/eval/kv/. Needs root: servers and mounts want it.
Everything it starts runs in a network namespace of its own and ends with it. What cannot be had is
skipped, and the report says so.

  ./dev eval kv --quick                     some minutes: to see that it works
  ./dev eval kv --only device,memory        some of it
  ./dev eval kv --subjects rocksdb,nfs      some of those
  ./dev eval kv --only growth --files-max 10000000
"""
import argparse
import dataclasses
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stage as stages  # noqa: E402
from own_network import enter_own_network  # noqa: E402
from stage import say  # noqa: E402

import kv_device  # noqa: E402
import kv_growth  # noqa: E402
import kv_memory  # noqa: E402
import kv_mounts  # noqa: E402
import kv_report  # noqa: E402
import kv_stage  # noqa: E402
import kv_subjects  # noqa: E402

import common  # noqa: E402  the benchmark's
import fetch  # noqa: E402  the rig's
import machine  # noqa: E402
import measure  # noqa: E402
from child import exit_on_signals  # noqa: E402
from daemon import DaemonError  # noqa: E402

PARTS = {"device": kv_device.run, "mounts": kv_mounts.run, "growth": kv_growth.run,
         "memory": kv_memory.run}
SUBJECTS = {"rocksdb": kv_subjects.ROCKSDB, "valkey": kv_subjects.VALKEY,
            "cluster": kv_subjects.CLUSTER, "local": kv_subjects.LOCAL, "nfs": kv_subjects.NFS,
            "null": kv_subjects.NULL, "s3ql": kv_subjects.S3QL, "directory": kv_subjects.BARE}


def some_of(known):
    def chosen(text):
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; one or more of: "
                                             + ",".join(known))
        return names
    return chosen


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small rounds: to see that it works")
    parser.add_argument("--only", metavar="PARTS", type=some_of(PARTS), default=list(PARTS),
                        help="some of the parts above, with ',' between them")
    parser.add_argument("--subjects", metavar="NAMES", type=some_of(SUBJECTS),
                        default=list(SUBJECTS), help="some of " + ",".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, help="of each part")
    parser.add_argument("--files-max", type=int, metavar="N",
                        help="the growth goes on to so many files, by tens (a million; 12 KiB of "
                             "the disk for each)")
    parser.add_argument("--folder", type=pathlib.Path,
                        help="where everybody's files are: choose the file system to measure on "
                             "(default: below --output)")
    parser.add_argument("--build", type=pathlib.Path, default=stages.ROOT / "build/release",
                        help="where dpfs and the loads were built (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=stages.ROOT / "build/eval/kv",
                        help="where the results go (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="status 1 where a goal is missed")
    return parser.parse_args()


def effort_of(args):
    effort = kv_stage.QUICK if args.quick else kv_stage.FULL
    if args.rounds:
        effort = dataclasses.replace(effort, rounds=args.rounds)
    if args.files_max:
        sizes, files = [], effort.sizes[0]
        while files <= args.files_max:
            sizes.append(files)
            files *= 10
        effort = dataclasses.replace(effort, sizes=tuple(sizes))
    return effort


def about(args, stage):
    return {
        "dpfs": measure.version_of([str(stage.dpfs), "--version"]),
        "machine": machine.describe(),
        "file system of the stores": machine.file_system_of(stage.storage),
        "runs": ("quick: " if args.quick else "") + f"{stage.effort.rounds} rounds, interleaved, "
                "medians, and half the spread of the rounds",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def run_parts(args, stage):
    results, failed = {}, False
    for name in args.only:
        say(f"measuring: {name}")
        try:
            results[name] = PARTS[name](stage)
        except (DaemonError, measure.MeasureError, OSError, subprocess.SubprocessError) as error:
            stage.note(f"FAILED {name}: {error}")
            failed = True
    return results, failed or any(note.startswith("FAILED") for note in stage.notes)


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("eval: run it as root: servers and mounts need it")
    exit_on_signals()
    for program in ("dpfs", "bench/mount_load", "eval/idle_tenants"):
        if not os.access(args.build / program, os.X_OK):
            sys.exit(f"eval: there is no program {args.build / program}; './dev eval kv' builds it")
    try:
        kit = fetch.ensure()  # while there is a network
    except fetch.FetchError as error:
        sys.exit(f"eval: error: {error}")
    if kv_subjects.S3QL in [SUBJECTS[name] for name in args.subjects]:
        kv_subjects.fetch_other()
    enter_own_network()
    args.output = args.output.resolve()
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="store-", dir=args.folder or args.output) as storage, \
            tempfile.TemporaryDirectory(prefix="dpfs-eval-") as sockets:
        stage = kv_stage.Stage(
            kit, (args.build / "dpfs").resolve(), (args.build / "bench").resolve(),
            pathlib.Path(storage).resolve(), pathlib.Path(sockets).resolve(), effort_of(args),
            tuple(SUBJECTS[name] for name in args.subjects), [], [])
        facts = about(args, stage)
        results, failed = run_parts(args, stage)
        noise = stage.noise()
        if noise is not None:
            facts["other work on the machine"] = f"{noise * 100:.0f} % of a core"
    facts["who is measured"] = "; ".join(f"{name}: {text}" for name, text in stage.said.items())
    pictures = kv_report.plots(results, args.output)
    common.write(args.output, "kv", facts | {"notes": stage.notes}, results,
                 kv_report.markdown(results, facts, stage.notes), pictures)
    common.warn_of(noise or 0)
    missed = [goal.text() for goal in kv_report.goals(results) if goal.met is False]
    for sentence in missed:
        say(f"missed: {sentence}")
    if failed or (args.check and missed):
        sys.exit("eval: " + ("some parts failed" if failed else "a goal was missed"))


if __name__ == "__main__":
    main()
