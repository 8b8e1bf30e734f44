#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The NFS test: dpfs against a real server, NFS-Ganesha, and what may happen to it.

  tests/nfs/run.py --dpfs build/release/dpfs           a selection, in a few minutes
  tests/nfs/run.py --dpfs build/release/dpfs --all     everything
  tests/nfs/run.py --only locks,restart                groups, or cases of any name
  tests/nfs/run.py --list                              groups and their cases; (slow): with --all

The server has a disk and, where its network is cut, a namespace of its own (tools/rig/ganesha.py):
that needs root. Exit status: 0 passed, 1 failed, 77 nothing could run. The last line of output has
the three numbers.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(ROOT / "tests" / "vm"), str(ROOT / "tools" / "rig")]

# First of this folder, then of tests/vm and tools/rig.
import checker
import files
import server_faults
import suites
import tenant
import two_clients
from clients import Bench, CheckError, Skip

import fetch
from child import exit_on_signals
from daemon import DaemonError
from disk import DiskError
from ganesha import GaneshaError
from link import LinkError
from report import Report
from vm import VmError, default_accelerator

GROUPS = {"checker": checker, "suites": suites, "files": files, "locks": two_clients,
          "faults": server_faults, "tenant": tenant}


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


def run_case(kit, report, options, group, case):
    name = f"{group}/{case.__name__}"
    report.heading(f"{name}: {' '.join(case.__doc__.split())}")
    begin = time.monotonic()
    with Bench(kit, report, options) as bench:
        try:
            case(bench)
            report.passed(name, time.monotonic() - begin)
        except Skip as reason:
            report.skipped(name, str(reason))
        except (CheckError, DaemonError, GaneshaError, DiskError, LinkError, VmError,
                OSError) as error:
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
    parser.add_argument("--accelerator", choices=("kvm", "tcg"), help="of the VM")
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
    if reason := cannot_run(options.dpfs):
        for group, case in cases:
            report.skipped(f"{group}/{case.__name__}", reason)
        return report.summary()
    try:
        kit = fetch.ensure()
    except fetch.FetchError as error:
        print(f"rig: {error}")
        for group, case in cases:
            report.skipped(f"{group}/{case.__name__}", "the server could not be fetched, see above")
        return report.summary()
    options.daemon = "dpfs"
    options.accelerator = options.accelerator or default_accelerator(kit)
    for group, case in cases:
        run_case(kit, report, options, group, case)
    return report.summary()


def cannot_run(program):
    if os.geteuid() != 0:
        return "needs root, for the disk that the server exports"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "needs /dev/fuse"
    if "nfs:" not in subprocess.run([program, "mount", "unknown:", "/"], capture_output=True,
                                    text=True, timeout=20, check=False).stderr:
        return f"{program} has no NFS back end"
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
