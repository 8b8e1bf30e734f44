#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures dpfs against virtiofsd: the same directory, interleaved runs, medians.

The tenant is `dpfs bench`, a virtio-fs driver in user space, so no VM is in the way. virtiofsd is
fetched once from Debian into a folder outside of the tree and never installed; where that cannot be
had, dpfs is measured alone.

Writes comparison.md, comparison.json and plots (SVG) to build/bench/.
Ends with status 1 where a run failed, with --check also where a target is missed.
"""
import argparse
import datetime
import os
import pathlib
import re
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import common  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import plan  # noqa: E402
import report  # noqa: E402

import fetch  # noqa: E402  the rig's; measure has put it on the path


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_options(parser, "bench")
    parser.add_argument("--serve", metavar="OPTIONS", default="",
                        help="more options for `dpfs serve`, in one string")
    parser.add_argument("--seconds", type=float, default=2, help="of each job (default: 2)")
    parser.add_argument("--file-size", type=int, default=256 * plan.MIB, metavar="BYTES",
                        help="of the data file (default: 256 MiB)")
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only groups whose name matches: "
                             + "; ".join(group.name for group in plan.GROUPS))
    parser.add_argument("--no-pin", action="store_true",
                        help="let the kernel choose the cores (default: daemon and tenant get one "
                             "each)")
    parser.add_argument("--no-virtiofsd", action="store_true", help="measure dpfs alone")
    parser.add_argument("--no-dpfs", action="store_true", help="measure virtiofsd alone")
    parser.add_argument("--check", action="store_true", help="status 1 where a target is missed")
    parser.add_argument("--quick", action="store_true",
                        help="one round of half a second: to see that it works")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.5
    return args


def cores(args):
    """(daemon's, tenant's); None where they are not to be pinned, or there are not two."""
    usable = sorted(os.sched_getaffinity(0))
    return None if args.no_pin or len(usable) < 2 else (usable[0], usable[1])


def find_peers(args):
    """(the peers, the one with a null device or None)"""
    peers = []
    null = None
    if not args.no_virtiofsd:
        try:
            peers.append(measure.virtiofsd_peer(plan.THEIRS, fetch.ensure()))
        except (fetch.FetchError, fetch.KitError) as error:
            common.say(f"SKIPPED virtiofsd, it cannot be had: {error}")
    if not args.no_dpfs:
        extra = args.serve.split()
        peers.append(measure.dpfs_peer(plan.OURS, args.dpfs, extra))
        null = measure.null_peer(plan.OURS, args.dpfs, extra)
    return peers, null


def run_all(args, bench, peers, null):
    """results[peer][group]: one report for each round."""
    results = {}
    groups = [group for group in plan.GROUPS if re.search(args.only, group.name)]
    failed = False
    for round_number in range(args.rounds):
        # Who begins takes turns, so that a machine that warms up favours nobody.
        order = peers if round_number % 2 == 0 else peers[::-1]
        for group in groups:
            for peer in [null] if group.null_device else order:
                if peer is None:
                    continue
                try:
                    found = bench.run(peer, group)
                except measure.MeasureError as error:
                    common.say(f"FAILED {error}")
                    failed = True
                    continue
                results.setdefault(peer.name, {}).setdefault(group.name, []).append(found)
                shown = ", ".join(f"{job['job']} {job['operations_per_second']:,.0f}/s"
                                  for job in found["jobs"] if job["operations"])
                common.say(f"{round_number + 1}/{args.rounds} {group.name}: {peer.name} {shown}")
    return results, failed


def about(args, peers, folder, pinned_cores):
    facts = {peer.name: peer.version for peer in peers}
    facts["machine"] = machine.describe()
    facts["file system"] = machine.file_system_of(folder)
    facts["cores"] = (f"daemon on {pinned_cores[0]}, tenant on {pinned_cores[1]}" if pinned_cores
                      else "not pinned")
    facts["runs"] = (f"{args.rounds} rounds of {args.seconds} s, interleaved, one queue, "
                     f"{args.file_size // plan.MIB} MiB file in the page cache")
    facts["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return facts


def main():
    args = arguments()
    if not os.access(args.dpfs, os.X_OK):
        sys.exit(f"bench: there is no program {args.dpfs}; build it: ./dev build")
    args.output.mkdir(parents=True, exist_ok=True)
    pinned_cores = cores(args)
    peers, null = find_peers(args)
    if not peers:
        sys.exit("bench: nothing to measure")
    with tempfile.TemporaryDirectory(prefix="share-", dir=args.folder or args.output) as share, \
            tempfile.TemporaryDirectory(prefix="dpfs-bench-") as sockets:
        folder = pathlib.Path(share)
        measure.make_data_file(folder, args.file_size)
        bench = measure.Bench(args.dpfs, folder, pathlib.Path(sockets) / "s",
                              seconds=args.seconds, warmup_s=min(0.5, args.seconds / 2),
                              file_size=args.file_size, cores=pinned_cores)
        facts = about(args, peers, folder, pinned_cores)
        results, failed = run_all(args, bench, peers, null)

    noise = statistics.median(bench.others) if bench.others else 0
    facts["other work on the machine"] = f"{max(noise, 0) * 100:.0f} % of a core"
    table = report.markdown(results, facts)
    common.write(args.output, "comparison", facts, results, table,
                 report.plots(results, args.output))
    common.warn_of(noise)
    missed = [row.figure.title for row in report.rows(results) if row.met is False]
    if failed or (args.check and missed):
        sys.exit("bench: " + ("some runs failed" if failed else "missed: " + "; ".join(missed)))


if __name__ == "__main__":
    main()
