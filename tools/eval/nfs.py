#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Evaluates the NFS back end: what it costs a tenant beside the guest's own NFS client, and how
fast it is. A real NFS server (Ganesha) on loopback is behind all of it but the part "client".

  tenant           kernel instructions, interrupts and notifications for 4 KiB in the guest
  throughput       by depth 1 to 128, beside libnfs
  latency          what one read's time is made of
  client           our NFS client alone, against a server in memory that answers as fast as it can
  workloads        untar, stat walk, small files, copy: through dpfs mount
  guest-workloads  the same in the guest, by both clients

Writes nfs.md, nfs.json and plots (SVG) to build/eval/nfs/. Needs root: the server, the guest's
network and mounts want it. Everything it starts runs in a network namespace of its own and ends
with it.

  ./dev eval nfs --quick                   a few minutes: to see that it works
  ./dev eval nfs --only tenant,latency     some of it
"""
import argparse
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stage as stages  # noqa: E402
from own_network import enter_own_network  # noqa: E402
from stage import EvalError, Stage, Tap, UserNetwork, say  # noqa: E402

import client  # noqa: E402
import host  # noqa: E402
import nfs_report  # noqa: E402
import tenant  # noqa: E402
import workloads  # noqa: E402

import common  # noqa: E402  the benchmark's
import fetch  # noqa: E402  the rig's
import machine  # noqa: E402
import measure  # noqa: E402
from child import exit_on_signals  # noqa: E402
from daemon import DaemonError  # noqa: E402
from ganesha import Ganesha, GaneshaError  # noqa: E402

PARTS = {"tenant": tenant.run, "throughput": host.throughput, "latency": host.latency,
         "client": client.run, "workloads": workloads.on_host,
         "guest workloads": workloads.in_guest}
# Longer than anything that is measured: the guest renews its lease slowly, for it is emulated.
LEASE_S = 60


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small rounds: to see that it works")
    parser.add_argument("--only", metavar="PARTS", default="",
                        help="some of the parts above, with ',' between them")
    parser.add_argument("--build", type=pathlib.Path, default=stages.ROOT / "build/release",
                        help="where dpfs and the loads were built (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=stages.ROOT / "build/eval/nfs",
                        help="where the results go (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="status 1 where a target is missed")
    args = parser.parse_args()
    args.parts = [name.replace("-", " ") for name in args.only.split(",") if name] or list(PARTS)
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"--only knows no {', '.join(unknown)}; the parts are "
                     + ", ".join(name.replace(" ", "-") for name in PARTS))
    return args


def about(args, stage):
    return {
        "dpfs": measure.version_of([str(stage.dpfs), "--version"]),
        "server": f"Ganesha {stage.kit.manifest()['ganesha']}, ext4",
        "guest": f"Linux {stage.kit.kernel_version()}",
        "network": stage.network.name,
        "machine": machine.describe(),
        "runs": ("quick: " if args.quick else "") + f"{stage.effort.rounds} rounds, interleaved, "
                "medians",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def run_parts(args, stage):
    results, failed = {}, False
    for name in args.parts:
        say(f"measuring: {name}")
        try:
            results[name] = PARTS[name](stage)
        except (EvalError, DaemonError, measure.MeasureError, OSError,
                subprocess.SubprocessError) as error:
            stage.note(f"FAILED {name}: {error}")
            failed = True
    return results, failed


def missed(results):
    found = results.get("tenant")
    if not found:
        return []
    return [f"{name}: {tenant.ratio(found, name):.2f} times fewer instructions, not "
            f"{tenant.TARGETS[depth]}" for _, depth, name in nfs_report.tenant_rows(found)
            if tenant.ratio(found, name) < tenant.TARGETS[depth]]


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("eval: run it as root: the server, the guest's network and mounts need it")
    exit_on_signals()
    programs = args.build / "eval"
    for program in (args.build / "dpfs", programs / "guest_load", args.build / "bench/mount_load"):
        if not os.access(program, os.X_OK):
            sys.exit(f"eval: there is no program {program}; './dev eval nfs' builds it")
    try:
        kit = fetch.ensure()  # while there is a network
    except fetch.FetchError as error:
        sys.exit(f"eval: error: {error}")
    enter_own_network()
    args.output.mkdir(parents=True, exist_ok=True)
    network = Tap() if stages.has_tap() else UserNetwork()
    effort = stages.QUICK if args.quick else stages.FULL
    try:
        with tempfile.TemporaryDirectory(prefix="dpfs-eval-") as folder, network, \
                Ganesha(kit, address=network.host_address, lease_s=LEASE_S) as server:
            stage = Stage(kit, server, network, programs.resolve(), (args.build / "dpfs").resolve(),
                          effort, pathlib.Path(folder), [])
            facts = about(args, stage)
            results, failed = run_parts(args, stage)
            noise = stage.noise()
            if noise is not None:
                facts["other work on the machine"] = f"{noise * 100:.0f} % of a core"
    except (EvalError, GaneshaError) as error:
        sys.exit(f"eval: error: {error}")
    pictures = nfs_report.plots(results, args.output)
    common.write(args.output, "nfs", facts | {"notes": stage.notes}, results,
                 nfs_report.markdown(results, facts, stage.notes), pictures)
    common.warn_of(noise or 0)
    for sentence in missed(results):
        say(f"missed: {sentence}")
    if failed or (args.check and missed(results)):
        sys.exit("eval: " + ("some parts failed" if failed else "a target was missed"))


if __name__ == "__main__":
    main()
