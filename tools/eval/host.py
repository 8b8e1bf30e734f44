# SPDX-License-Identifier: Apache-2.0
"""Throughput by depth and what latency is made of, without a VM: `dpfs bench` is the tenant."""
import json
import subprocess
import time

from stage import DATA_FILE, OURS, EvalError

import measure
import plan

DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
LIBNFS = "libnfs"
FLOOR = "bare TCP"
OURS_WRITES = "dpfs, writes"
NULL = "null device"
WAITS = ("sleep", "poll")
TIMEOUT_S = 120


def serving(stage, url):
    def command(socket_path, _folder):
        return measure.daemon.dpfs_command(stage.dpfs, socket_path=socket_path, tag="bench",
                                           url=url)
    return command


def peers_of(stage):
    ours = measure.Peer(OURS, serving(stage, stage.url()), "")
    return ours, measure.null_peer(NULL, stage.dpfs)


def bench_of(stage):
    # Server, daemon and tenant share what cores there are; the kernel chooses.
    return make_bench(stage, stage.server.child.pid, file_size=stage.effort.data_mib << 20,
                      cores=None)


def processor_s(pid):
    """Of the whole process (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def make_bench(stage, server_pid, *, file_size, cores):
    seconds = stage.effort.seconds
    bench = measure.Bench(stage.dpfs, stage.server.exported, stage.folder / "bench",
                          seconds=seconds, warmup_s=seconds / 4, file_size=file_size, cores=cores,
                          servers_s=lambda: processor_s(server_pid))
    stage.benches.append(bench)
    return bench


def run_bench(bench, peer, job, depth, **options):
    """Rate and latency of one run. The tenant sleeps until it is interrupted, as Linux does, unless
    wait="poll"."""
    group = plan.Group(f"{job} at {depth}", (job,), depth, **options)
    [found] = [each for each in bench.run(peer, group)["jobs"] if each["operations"]]
    return {"rate": found["operations_per_second"], "p50_us": found["latency_ns"]["p50"] / 1000,
            "p99_us": found["latency_ns"]["p99"] / 1000,
            "cpu_us": (found["daemon_cpu_ns_per_operation"] or 0) / 1000}


def run_program(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise EvalError(done.stderr.strip() or f"{command[0]} failed")
    found = json.loads(done.stdout)
    return {"rate": found["operations"] / found["seconds"], "p50_us": found["latency_us"]["p50"],
            "p99_us": found["latency_us"]["p99"], "cpu_us": found.get("cpu_us")}


def run_libnfs(stage, depth):
    server = stage.server
    return run_program(stage.programs / "libnfs_load", server.address, server.port,
                       f"/{server.NAME}/{DATA_FILE}", depth, stage.effort.seconds)


def run_floor(stage, depth):
    return run_program(stage.programs / "tcp_floor", depth, stage.effort.seconds)


def has_libnfs(stage):
    if (stage.programs / "libnfs_load").exists():
        return True
    stage.note("SKIPPED libnfs: libnfs-dev was not installed when the evaluation was built")
    return False


def throughput(stage):
    """results[peer][depth]: what each round found."""
    measure.make_data_file(stage.server.exported, stage.effort.data_mib << 20)
    bench = bench_of(stage)
    ours, _ = peers_of(stage)
    runs = {OURS: lambda depth: run_bench(bench, ours, "randread", depth),
            OURS_WRITES: lambda depth: run_bench(bench, ours, "randwrite", depth),
            FLOOR: lambda depth: run_floor(stage, depth)}
    if has_libnfs(stage):
        runs[LIBNFS] = lambda depth: run_libnfs(stage, depth)
    return interleaved(runs, DEPTHS, stage.effort.rounds)


def interleaved(runs, depths, rounds):
    results = {name: {depth: [] for depth in depths} for name in runs}
    for round_number in range(rounds):
        names = list(runs) if round_number % 2 == 0 else list(runs)[::-1]
        for depth in depths:
            for name in names:
                results[name][depth].append(runs[name](depth))
    return results


def latency(stage):
    """results[how the tenant waits][peer][1]: one request in flight, each round's."""
    measure.make_data_file(stage.server.exported, stage.effort.data_mib << 20)
    bench = bench_of(stage)
    ours, null = peers_of(stage)
    runs = {}
    for wait in WAITS:
        runs[wait, NULL] = lambda depth, wait=wait: run_bench(
            bench, null, "randread", depth, null_device=True, wait=wait)
        runs[wait, OURS] = lambda depth, wait=wait: run_bench(
            bench, ours, "randread", depth, wait=wait)
    runs["poll", FLOOR] = lambda depth: run_floor(stage, depth)
    if has_libnfs(stage):
        runs["sleep", LIBNFS] = lambda depth: run_libnfs(stage, depth)
    found = interleaved(runs, (1,), stage.effort.rounds)
    return {wait: {peer: found[way, peer] for way, peer in found if way == wait}
            for wait in WAITS}
