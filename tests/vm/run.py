#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The VM test: a stock Debian kernel mounts what the daemon serves, and works with it.

  tests/vm/run.py --dpfs build/release/dpfs            everything
  tests/vm/run.py --dpfs build/release/dpfs --only tree,fio
  tests/vm/run.py --daemon virtiofsd                   the same cases, for reference
  tests/vm/run.py --list                               groups and their cases

Kernel and QEMU are fetched once and cached (tools/rig/fetch.py). Exit status: 0 passed, 1 failed,
77 nothing could run. The last line of output has the three numbers.
"""
import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "rig"))

# First of this folder, then of tools/rig.
import cases
import devices
import faults
import harness
import in_place
import posix_suite
import shares
from harness import Bench
from report import Report

import fetch
from child import exit_on_signals
from daemon import DaemonError
from vm import default_accelerator, kvm_verdict

# Far more than emulated guests on a busy machine take: only against hanging.
TIMEOUT_S = 300


def one_queue(bench, only):
    """One request queue, one processor: the paths of everyday work."""
    harness.boot_group(bench, select(cases.ALL_ONE_QUEUE, only), queues=1, smp=1,
                       timeout_s=TIMEOUT_S)


def several_queues(bench, only):
    """Several request queues on two processors: parallel work and a large tree."""
    # virtiofsd has one request queue.
    queues = 1 if bench.options.daemon == "virtiofsd" else 4
    harness.boot_group(bench, select(cases.ALL_SEVERAL_QUEUES, only), queues=queues, smp=2,
                       queue_size=256, timeout_s=TIMEOUT_S)


def without_io_uring(bench, only):
    """The same with the daemon's other way to wait and to do file I/O."""
    if bench.options.daemon == "virtiofsd":
        bench.report.skipped(bench.name, "an option of dpfs")
        return
    harness.boot_group(bench, select(cases.ALL_WITHOUT_IO_URING, only), queues=2, smp=2,
                       extra=["--no-io-uring"], timeout_s=TIMEOUT_S)


GROUPS = {
    "one_queue": (one_queue, cases.ALL_ONE_QUEUE),
    "several_queues": (several_queues, cases.ALL_SEVERAL_QUEUES),
    "without_io_uring": (without_io_uring, cases.ALL_WITHOUT_IO_URING),
    "two_devices": (devices.two_devices, devices.TWO_DEVICES),
    "shares": (shares.shares, shares.SHARES),
    "in_place": (in_place.in_place, in_place.IN_PLACE),
    "posix": (posix_suite.posix, posix_suite.POSIX),
    "posix_kv": (posix_suite.posix_kv, posix_suite.POSIX),
    "killed_vmm": (faults.killed_vmm, faults.KILLED_VMM),
    "hot_plug": (faults.hot_plug, faults.HOT_PLUG),
}


def select(classes, only):
    """Instances of the chosen cases; the mount comes with any of them."""
    return [case() for case in classes if not only or case.name in only or case is cases.Mount]


def chosen(only):
    """(group, its chosen cases or None for all) for each group that has any."""
    known = {case.name for _, classes in GROUPS.values() for case in classes} | GROUPS.keys()
    unknown = set(only) - known
    if unknown:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}; see --list")
    for name, (_, classes) in GROUPS.items():
        names = {case.name for case in classes} & set(only)
        # The mount is part of every group; by itself it needs one only.
        if name != "one_queue":
            names.discard(cases.Mount.name)
        if not only or name in only:
            yield name, None
        elif names:
            yield name, names


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dpfs", type=pathlib.Path, default=pathlib.Path("build/release/dpfs"))
    parser.add_argument("--daemon", choices=("dpfs", "virtiofsd"), default="dpfs")
    parser.add_argument("--only", default="", metavar="NAME[,NAME...]", help="cases or groups")
    parser.add_argument("--accelerator", choices=("kvm", "tcg"))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, (_, classes) in GROUPS.items():
            print(f"{name}: {' '.join(case.name for case in classes)}")
        return 0
    plan = list(chosen([name for name in options.only.split(",") if name]))
    exit_on_signals()
    report = Report()
    try:
        kit = fetch.ensure()
    except fetch.FetchError as error:
        print(f"rig: {error}")
        for name, _ in plan:
            report.skipped(name, "the kit for the VM could not be fetched, see above")
        return report.summary()
    options.accelerator = options.accelerator or default_accelerator(kit)
    if options.accelerator == "tcg":
        works, why = kvm_verdict(kit)
        print("guests are emulated" + ("" if works else f": KVM does not work here ({why})"))
    if options.daemon == "dpfs" and not os.access(options.dpfs, os.X_OK):
        raise SystemExit(f"there is no program {options.dpfs}: build it with ./dev build")
    for name, only in plan:
        run_group(kit, report, options, name, only)
    return report.summary()


def run_group(kit, report, options, name, only):
    function, _ = GROUPS[name]
    report.heading(f"{name}: {function.__doc__.splitlines()[0]}")
    with Bench(kit, report, options, name) as bench:
        try:
            function(bench, only)
        except DaemonError as error:
            report.failed(name, str(error))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
