# SPDX-License-Identifier: Apache-2.0
"""Whole small files through a device, without a VM: `dpfs bench` is the tenant."""
import csv
import subprocess

import kv_subjects as subjects
from kv_stage import in_turn
from stage import say

import measure
import plan

SERVED = (subjects.ROCKSDB, subjects.VALKEY, subjects.CLUSTER, subjects.LOCAL, subjects.NFS,
          subjects.NULL)
READ, READ_KNOWN, READ_OPEN = "readfile", "readknown", "randread"
WRITE, NEW, REMOVE = "writefile", "newfile", "create"
TITLES = {READ_OPEN: "READ of a file that is open", READ: "read: found, opened, read, closed", READ_KNOWN: "read, the name known",
          WRITE: "written: found, opened, written, closed", NEW: "created, written, closed",
          REMOVE: "created, written, closed, unlinked"}
# A tenant that sleeps is woken by interrupts, as Linux is; one that polls shows what lies below.
WAYS = ((1, "sleep"), (1, "poll"), (32, "sleep"))
GETS = 20_000


def way_name(way):
    depth, wait = way
    return f"depth {depth}, tenant {'sleeps' if wait == 'sleep' else 'polls'}"


def jobs_of(name):
    return (READ_OPEN, READ, READ_KNOWN) if name == subjects.NULL else tuple(TITLES)


def figures(job):
    return {"rate": job["operations_per_second"], "p50_us": job["latency_ns"]["p50"] / 1000,
            "p99_us": job["latency_ns"]["p99"] / 1000,
            "cpu_us": (job["daemon_cpu_ns_per_operation"] or 0) / 1000,
            "rss_mib": job["daemon_rss_bytes"] / (1 << 20)}


def bench_of(stage, subject, seconds=None, timeout_s=measure.BENCH_TIMEOUT_S):
    seconds = seconds or stage.effort.seconds
    # Server, daemon and tenant share what cores there are; the kernel chooses.
    return measure.Bench(stage.dpfs, stage.storage, stage.sockets / "bench", seconds=seconds,
                         warmup_s=seconds / 4, file_size=1 << 20, cores=None,
                         servers_s=subject.servers_s, timeout_s=timeout_s)


def run(stage):
    """results[subject][way][job]: what each round found."""
    results = {}
    names = [name for name in SERVED if name in stage.wanted]
    with subjects.begin_all(names, stage) as found:
        for round_number in range(stage.effort.rounds):
            for subject in in_turn(found, round_number):
                if subject.name in failed_of(stage):
                    continue
                for way in WAYS:
                    run_one(stage, subject, way, results)
                if subject.name == subjects.VALKEY:
                    bare_get(stage, subject, results)
            say(f"round {round_number + 1} of {stage.effort.rounds} is done")
    return results


def bare_get(stage, subject, results):
    """A GET of 4 KiB, one in flight, by the server's own benchmark."""
    host, port = subject.address
    program = stage.kit.command("usr/bin/valkey-benchmark", "-h", host, "-p", port, "-c", "1", "-d",
                                "4096", "-n", str(GETS), "-r", "1000", "--csv")
    for job in ("set", "get"):
        done = subprocess.run([*program, "-t", job], capture_output=True, text=True, timeout=60)
    try:
        *_, found = csv.DictReader(done.stdout.splitlines())
        p50_us = float(found["p50_latency_ms"]) * 1000
    except (ValueError, KeyError):
        stage.note(f"FAILED {subjects.BARE_GET}: {(done.stderr or done.stdout).strip()}")
        return
    results.setdefault(subjects.BARE_GET, []).append(p50_us)


def failed_of(stage):
    return [name for name in SERVED if f"FAILED {name}" in " ".join(stage.notes)]


def run_one(stage, subject, way, results):
    depth, wait = way
    group = plan.Group(way_name(way), jobs_of(subject.name), depth, wait=wait,
                       data_file=False, more=("--files", str(stage.effort.files)))
    bench = bench_of(stage, subject)
    try:
        answer = bench.run(subject.peer(stage.dpfs), group)
    except (measure.MeasureError, measure.daemon.DaemonError) as error:
        stage.note(f"FAILED {subject.name}, {group.name}: {error}")
        return
    stage.others += bench.others
    for job in answer["jobs"]:
        if job["operations"]:
            results.setdefault(subject.name, {}).setdefault(group.name, {}).setdefault(
                job["job"], []).append(figures(job))
