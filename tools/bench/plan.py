# SPDX-License-Identifier: Apache-2.0
"""What is compared: groups of jobs that run on one connection, and the figures taken from them."""
import dataclasses

KIB = 1 << 10
MIB = 1 << 20

# Names of the peers, in the order of the columns.
OURS = "dpfs"
THEIRS = "virtiofsd"


@dataclasses.dataclass(frozen=True)
class Group:
    """One run of `dpfs bench` for each peer and round."""
    name: str
    jobs: tuple
    depth: int = 32
    wait: str = "sleep"
    block_size: int = 4 * KIB
    null_device: bool = False  # ours alone: no other daemon has one
    data_file: bool = True  # the jobs use the one that is there
    more: tuple = ()  # of the command line


@dataclasses.dataclass(frozen=True)
class Figure:
    """One row of the table: a value of one job's result, and what it is to reach.

    `target` is a function of (ours, theirs) and its words; theirs is None where virtiofsd was not
    measured, and then only targets that need no comparison count.
    """
    title: str
    group: str
    job: str
    value: object  # of the job's JSON
    unit: str
    target: object = None
    target_text: str = ""
    compares: bool = True


def iops(job):
    return job["operations_per_second"]


def daemon_us(job):
    """Microseconds of the daemon's CPU for each operation."""
    value = job["daemon_cpu_ns_per_operation"]
    return None if value is None else value / 1000


def p50_us(job):
    return job["latency_ns"]["p50"] / 1000


def p99_us(job):
    return job["latency_ns"]["p99"] / 1000


def mib_per_second(job):
    return job["bytes_per_second"] / MIB


def rss_mib(job):
    return job["daemon_rss_bytes"] / MIB


def idle_percent(job):
    """Share of one core that the daemon uses."""
    value = job["daemon_cpu_ns"]
    return None if value is None else value / (job["seconds"] * 1e9) * 100


def at_most(factor):
    return lambda ours, theirs: ours <= factor * theirs


def at_least(factor):
    return lambda ours, theirs: ours >= factor * theirs


SLEEP = "interrupts, depth 32"
POLL = "polling, depth 32"
SLEEP_1 = "interrupts, depth 1"
POLL_1 = "polling, depth 1"
LARGE = "64 KiB"
NULL = "null"
IDLE = "idle"

METADATA_AND_DATA = ("randread", "randwrite", "getattr", "lookup")

GROUPS = (
    Group(SLEEP, METADATA_AND_DATA),
    Group(POLL, METADATA_AND_DATA, wait="poll"),
    Group(SLEEP_1, ("randread", "getattr"), depth=1),
    Group(POLL_1, ("randread", "getattr"), depth=1, wait="poll"),
    Group(LARGE, ("read", "write"), block_size=64 * KIB),
    Group(NULL, ("randread", "getattr"), wait="poll", null_device=True),
    Group(IDLE, ("idle",), depth=1),
)

# A stock Linux tenant asks for interrupts, so that is what the first rows and the targets are
# about; a tenant that polls saves both daemons the work of signalling.
FIGURES = (
    Figure("4 KiB random read, CPU", SLEEP, "randread", daemon_us, "us/op",
           at_most(0.55), "<= 0.55 x"),
    Figure("4 KiB random read, rate", SLEEP, "randread", iops, "op/s",
           at_least(1.8), ">= 1.8 x"),
    Figure("4 KiB random write, CPU", SLEEP, "randwrite", daemon_us, "us/op",
           at_most(0.6), "<= 0.6 x"),
    Figure("4 KiB random write, rate", SLEEP, "randwrite", iops, "op/s"),
    Figure("GETATTR, CPU", SLEEP, "getattr", daemon_us, "us/op", at_most(0.5), "<= 0.5 x"),
    Figure("GETATTR, rate", SLEEP, "getattr", iops, "op/s"),
    Figure("LOOKUP, CPU", SLEEP, "lookup", daemon_us, "us/op", at_most(0.5), "<= 0.5 x"),
    Figure("LOOKUP, rate", SLEEP, "lookup", iops, "op/s"),
    Figure("4 KiB random read, tenant polls, CPU", POLL, "randread", daemon_us, "us/op"),
    Figure("4 KiB random read, tenant polls, rate", POLL, "randread", iops, "op/s"),
    Figure("4 KiB random write, tenant polls, CPU", POLL, "randwrite", daemon_us, "us/op"),
    Figure("4 KiB random write, tenant polls, rate", POLL, "randwrite", iops, "op/s"),
    Figure("GETATTR, tenant polls, CPU", POLL, "getattr", daemon_us, "us/op"),
    Figure("GETATTR, tenant polls, rate", POLL, "getattr", iops, "op/s"),
    Figure("LOOKUP, tenant polls, CPU", POLL, "lookup", daemon_us, "us/op"),
    Figure("LOOKUP, tenant polls, rate", POLL, "lookup", iops, "op/s"),
    Figure("4 KiB read, depth 1, tenant sleeps, p50", SLEEP_1, "randread", p50_us, "us",
           at_most(1.0), "<= 1 x"),
    Figure("4 KiB read, depth 1, tenant sleeps, p99", SLEEP_1, "randread", p99_us, "us"),
    Figure("4 KiB read, depth 1, tenant polls, p50", POLL_1, "randread", p50_us, "us",
           lambda ours, _: ours < 4, "< 4 us", compares=False),
    Figure("GETATTR, depth 1, tenant polls, p50", POLL_1, "getattr", p50_us, "us"),
    Figure("64 KiB sequential read", LARGE, "read", mib_per_second, "MiB/s"),
    Figure("64 KiB sequential write", LARGE, "write", mib_per_second, "MiB/s"),
    Figure("null device, 4 KiB read, tenant polls", NULL, "randread", iops, "op/s",
           lambda ours, _: ours >= 1_000_000, ">= 1,000,000", compares=False),
    Figure("null device, GETATTR, tenant polls", NULL, "getattr", iops, "op/s",
           lambda ours, _: ours >= 1_500_000, ">= 1,500,000", compares=False),
    Figure("one idle device, memory", IDLE, "idle", rss_mib, "MiB",
           lambda ours, _: ours < 12, "< 12 MiB", compares=False),
    Figure("one idle device, CPU", IDLE, "idle", idle_percent, "% of a core",
           lambda ours, _: ours < 0.05, "none", compares=False),
)
