#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The key-value test: what happens to a file system on a key-value store, and to its store.

  tests/kv/run.py --dpfs build/release/dpfs           a selection, in about a minute
  tests/kv/run.py --dpfs build/release/dpfs --all     everything
  tests/kv/run.py --only crash,disk_faults            groups, or cases of any name
  tests/kv/run.py --list                              groups and their cases; (slow): with --all

It mounts, so it needs root. Exit status: 0 passed, 1 failed, 77 nothing could run. The last line of
output has the three numbers.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "nfs"), str(ROOT / "tests" / "vm"), str(ROOT / "tools" / "rig")]

# First of this folder, then of tests/nfs, tests/vm and tools/rig.
import cluster
import crash
import disk_faults
import large_directory
import round_trips
from bench import Bench
from clients import CheckError, Skip

from child import exit_on_signals
from disk import DiskError
from link import LinkError
from report import Report
from resp import RespError
from valkey import ValkeyError

GROUPS = {"crash": crash, "disk_faults": disk_faults, "large_directory": large_directory,
          "cluster": cluster, "round_trips": round_trips}


def plan(options):
    """(group, case) of those to run, in order."""
    chosen = {name for name in options.only.split(",") if name}
    everything = [(group, case) for group, module in GROUPS.items() for case in module.ALL]
    unknown = chosen - GROUPS.keys() - {case.__name__ for _, case in everything}
    if unknown:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}; see --list")
    for group, case in everything:
        asked = case.__name__ in chosen or (group in chosen and (options.all or quick(group, case)))
        if asked or (not chosen and (options.all or quick(group, case))):
            yield group, case


def quick(group, case):
    return case in GROUPS[group].QUICK


def run_case(report, options, group, case):
    name = f"{group}/{case.__name__}"
    report.heading(f"{name}: {' '.join(case.__doc__.split())}")
    begin = time.monotonic()
    with Bench(report, options) as bench:
        try:
            case(bench)
            report.passed(name, time.monotonic() - begin)
        except Skip as reason:
            report.skipped(name, str(reason))
        except (CheckError, DiskError, LinkError, RespError, ValkeyError, OSError,
                subprocess.SubprocessError) as error:
            bench.tell_logs()
            report.failed(name, f"{error}", time.monotonic() - begin)
        except Exception:  # One broken case does not end the others.
            report.failed(name, traceback.format_exc(limit=-2).replace("\n", " / "))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dpfs", type=pathlib.Path, default=pathlib.Path("build/release/dpfs"))
    parser.add_argument("--all", action="store_true", help="what takes long, too")
    parser.add_argument("--only", default="", metavar="NAME[,NAME...]", help="groups or cases")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for group, module in GROUPS.items():
            names = (case.__name__ + ("" if quick(group, case) else " (slow)")
                     for case in module.ALL)
            print(f"{group}: {', '.join(names)}")
        return 0
    cases = list(plan(options))
    exit_on_signals()
    if not os.access(options.dpfs, os.X_OK):
        raise SystemExit(f"there is no program {options.dpfs}: build it with ./dev build")
    options.dpfs = options.dpfs.absolute()
    report = Report()
    reason = cannot_run(options.dpfs)
    for group, case in cases:
        if reason:
            report.skipped(f"{group}/{case.__name__}", reason)
        else:
            run_case(report, options, group, case)
    return report.summary()


def cannot_run(program):
    if os.geteuid() != 0:
        return "needs root, to mount"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "needs /dev/fuse"
    if "kv+rocksdb:" not in subprocess.run([program, "mount", "unknown:", "/"],
                                           capture_output=True, text=True, timeout=20,
                                           check=False).stderr:
        return f"{program} has no key-value back end"
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
