#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `dpfs mount` beside libfuse's passthrough_hp and the bare directory: the same directory,
interleaved runs, medians; dpfs with plain /dev/fuse and, where the kernel has it, FUSE over io_uring.

passthrough_hp is built once from Debian's source into a folder below --output; where that cannot be
had, dpfs is measured without it. Needs root, to mount.

Writes mount.md, mount.json and plots (SVG) to build/bench/mount/.
Ends with status 1 where a run failed, with --check also where dpfs is slower than libfuse.
"""
import argparse
import dataclasses
import datetime
import io
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import common  # noqa: E402
import libfuse  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import mount_plan as plan  # noqa: E402
import mount_report  # noqa: E402
import mounts  # noqa: E402

from child import exit_on_signals  # noqa: E402  the rig's; mounts has put it on the path

JOB_TIMEOUT_S = 300
MEMORY_MIN_BYTES = 1 << 30


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_options(parser, "bench/mount", "in memory, /dev/shm, where it can be")
    parser.add_argument("--load", type=pathlib.Path,
                        default=common.ROOT / "build/release/bench/mount_load",
                        help="the program that makes the load (default: %(default)s)")
    parser.add_argument("--options", metavar="OPTIONS", default="",
                        help="more options for `dpfs mount`, in one string")
    parser.add_argument("--no-libfuse", action="store_true", help="measure without libfuse")
    parser.add_argument("--check", action="store_true",
                        help="status 1 where dpfs is slower than libfuse")
    parser.add_argument("--quick", action="store_true", help="one small round: to see that it works")
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    return args


def folder_of(args):
    """In memory where that can be: ext4 takes up to a millisecond for a file where others were just
    removed (it avoids their numbers for minutes), which would be all that one sees."""
    memory = pathlib.Path("/dev/shm")
    room = shutil.disk_usage(memory).free if memory.is_dir() else 0
    if machine.file_system_of(memory) == "tmpfs" and room > MEMORY_MIN_BYTES:
        return memory
    return args.output


# ---- Who is measured -----------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    version: str
    mount: object  # function of (what the kernel keeps, directory, where): Mount or Bare


def bare_peer():
    return Peer(plan.BARE, "as it is", lambda keeps, folder, where: mounts.Bare(folder))


def libfuse_peer(program, version):
    def mount(keeps, folder, where):
        options = ["--nocache"] if keeps == plan.ASKED else []
        return mounts.Mount([program, "--foreground", *options, folder, where], where)
    return Peer(plan.THEIRS, f"passthrough_hp {version}", mount)


def dpfs_peer(name, program, extra):
    keeping = {plan.ASKED: ["--entry-timeout=0", "--attr-timeout=0"],
               plan.KEPT: ["--cache=always", "--writeback"]}

    def mount(keeps, folder, where):
        return mounts.Mount([program, "mount", "--foreground", "--log-level=warn", *keeping[keeps],
                             *extra, f"local:{folder}", where], where)
    return Peer(name, measure.version_of([str(program), "--version"]), mount)


def find_peers(args, has_uring):
    peers = [bare_peer()]
    if not args.no_libfuse:
        try:
            peers.append(libfuse_peer(*libfuse.ensure(args.output / "libfuse", common.say)))
        except libfuse.LibfuseError as error:
            common.say(f"SKIPPED libfuse, it cannot be had: {error}")
    extra = args.options.split()
    usage = subprocess.run([args.dpfs, "mount", "--help"], capture_output=True, text=True).stdout
    if "--fuse-io-uring" not in usage:
        common.say("SKIPPED FUSE over io_uring: this dpfs has no --fuse-io-uring")
        return [*peers, dpfs_peer(plan.OURS, args.dpfs, extra)]
    peers.append(dpfs_peer(plan.OURS, args.dpfs, [*extra, "--fuse-io-uring=off"]))
    if has_uring:
        peers.append(dpfs_peer(plan.OURS_URING, args.dpfs, [*extra, "--fuse-io-uring=auto"]))
    else:
        common.say(f"SKIPPED FUSE over io_uring: {mounts.ENABLE_URING} cannot be set")
    return peers


# ---- What is measured ----------------------------------------------------------------------------

class Bench:
    def __init__(self, load, folder, where, archive, size):
        self.load = load
        self.folder = folder
        self.where = where
        self.archive = archive
        self.size = size
        self.others = []  # for each run, how many cores' worth of other work the machine did

    def prepare(self):
        measure.make_data_file(self.folder, self.size.data_bytes)
        self._load("tree", self.folder, self.size.folders, self.size.files)
        make_archive(self.archive, self.size.archived)

    def run(self, peer):
        """Every job, by name."""
        results = {}
        for keeps in (plan.ASKED, plan.KEPT):
            with peer.mount(keeps, self.folder, self.where) as mount:
                for job in plan.JOBS:
                    if job.keeps == keeps:
                        results[job.name] = self._measure(job, mount)
        # Behind the mount's back, for the next one.
        shutil.rmtree(self.folder / "untarred")
        return results

    def _measure(self, job, mount):
        mounted = not isinstance(mount, mounts.Bare)
        begun_s, busy, loads = time.monotonic(), measure.busy_s(), measure.children_s()
        before_s = mount.processor_s()
        if job.arguments is None:
            found = self._untar(mount.folder)
        else:
            name, *rest = job.arguments(self.size, mounted)
            found = self._load(name, mount.folder, *rest)
        daemon_s = mount.processor_s() - before_s
        ours_s = daemon_s + measure.children_s() - loads
        self.others.append((measure.busy_s() - busy - ours_s) / (time.monotonic() - begun_s))
        return found | {"rate": found["operations"] / found["seconds"],
                        "cpu_us": daemon_s / found["operations"] * 1e6}

    def _load(self, job, folder, *rest):
        command = [str(word) for word in (self.load, job, folder, *rest)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=JOB_TIMEOUT_S)
        if answer.returncode != 0:
            raise mounts.MountError(f"{job}: {answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def _untar(self, folder):
        target = folder / "untarred"
        target.mkdir()
        begun_s = time.monotonic()
        subprocess.run(["tar", "-xf", self.archive, "-C", target], check=True,
                       timeout=JOB_TIMEOUT_S)
        return {"operations": self.size.archived, "seconds": time.monotonic() - begun_s}


def make_archive(path, count):
    """Files of the sizes that sources have, in folders, the same each time."""
    numbers = random.Random(1)
    with tarfile.open(path, "w") as archive:
        for i in range(count):
            content = numbers.randbytes(int(numbers.lognormvariate(8.5, 1)) % 65536)
            member = tarfile.TarInfo(f"folder{i // 40}/file-number-{i}.c")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def run_all(args, bench, peers):
    """results[peer]: the jobs of each round."""
    results = {}
    failed = False
    for round_number in range(args.rounds):
        # Who begins takes turns, so that a machine that warms up favours nobody.
        for peer in peers if round_number % 2 == 0 else peers[::-1]:
            try:
                found = bench.run(peer)
            except (mounts.MountError, OSError, subprocess.SubprocessError) as error:
                common.say(f"FAILED {peer.name}: {error}")
                failed = True
                shutil.rmtree(bench.folder / "untarred", ignore_errors=True)
                shutil.rmtree(bench.folder / "made", ignore_errors=True)
                continue
            results.setdefault(peer.name, []).append(found)
            shown = ", ".join(f"{name} {job['rate']:,.0f}/s" for name, job in found.items())
            common.say(f"{round_number + 1}/{args.rounds} {peer.name}: {shown}")
    return results, failed


def about(args, peers, bench):
    facts = {peer.name: peer.version for peer in peers}
    facts["machine"] = machine.describe()
    facts["file system"] = machine.file_system_of(bench.folder)
    size = bench.size
    facts["runs"] = (f"{args.rounds} rounds, interleaved; {size.data_bytes >> 20} MiB file in the "
                     f"page cache, {size.folders * size.files} files in {size.folders} folders, "
                     f"{size.archived} files in the archive")
    facts["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    noise = statistics.median(bench.others) if bench.others else 0
    facts["other work on the machine"] = f"{max(noise, 0) * 100:.0f} % of a core"
    return facts, noise


def main():
    args = arguments()
    exit_on_signals()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        sys.exit("bench: mounting needs root and /dev/fuse")
    for program in (args.dpfs, args.load):
        if not os.access(program, os.X_OK):
            sys.exit(f"bench: there is no program {program}; './dev bench mount' builds it")
    args.output = args.output.resolve()
    args.output.mkdir(parents=True, exist_ok=True)
    size = plan.QUICK if args.quick else plan.FULL
    with tempfile.TemporaryDirectory(prefix="share-", dir=args.folder or folder_of(args)) as share, \
            tempfile.TemporaryDirectory(prefix="dpfs-bench-") as other, \
            mounts.fuse_over_io_uring() as has_uring:
        other = pathlib.Path(other).resolve()
        (other / "mnt").mkdir()
        bench = Bench(args.load, pathlib.Path(share).resolve(), other / "mnt", other / "files.tar",
                      size)
        peers = find_peers(args, has_uring)
        bench.prepare()
        results, failed = run_all(args, bench, peers)
        facts, noise = about(args, peers, bench)

    table = mount_report.markdown(results, facts)
    common.write(args.output, "mount", facts, results, table,
                 mount_report.plots(results, args.output))
    common.warn_of(noise)
    missed = [text for row in mount_report.rows(results, mount_report.RATE)
              for text in row.missed()]
    for text in missed:
        common.say(f"slower than libfuse: {text}")
    if failed or (args.check and missed):
        sys.exit("bench: " + ("some runs failed" if failed else "slower than libfuse"))


if __name__ == "__main__":
    main()
