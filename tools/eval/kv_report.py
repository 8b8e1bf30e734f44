# SPDX-License-Identifier: Apache-2.0
"""The key-value evaluation as Markdown, below each table a line on what was measured, and plots."""
import dataclasses
import statistics

import kv_device as device
import kv_growth as growth
import kv_memory as memory
import kv_mounts as mounted
import kv_subjects as subjects
from nfs_report import median, shown, table, times, verdict

import chart
from chart import number

# Of the paper (SYSTOR '23), Table 3: 4 KiB files, in us.
PAPER = "DPFS-KV over RAMCloud 62.6 us for a read, NFS of the host 71.2 us: 1.14 times faster"
SLEEPS, POLLS, MANY = (device.way_name(way) for way in device.WAYS)


# ---- What the project wants ----------------------------------------------------------------------

@dataclasses.dataclass
class Goal:
    title: str
    value: float  # None: was not measured
    goal: float
    unit: str
    at_most: bool = False

    @property
    def met(self):
        if self.value is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def wanted(self):
        return f"{'<=' if self.at_most else '>='} {number(self.goal)} {self.unit}"

    def text(self):
        return f"{self.title}: {number(self.value)} {self.unit}, not {self.wanted()}"


def of_device(results, subject, way, job, key):
    found = results.get("device", {}).get(subject, {}).get(way, {}).get(job, ())
    return median([run[key] for run in found])


def per_core(cpu_us):
    """What one processor could do if it did nothing else."""
    return 1e6 / cpu_us if cpu_us else None


def minus(one, other):
    return None if one is None or other is None else one - other


def ratio(one, other):
    return one / other if one and other else None


def goals(results):
    rocksdb, nfs, null, valkey = (subjects.ROCKSDB, subjects.NFS, subjects.NULL, subjects.VALKEY)
    return [
        Goal("RocksDB, 4 KiB file read at depth 32, for each core of the daemon",
             per_core(of_device(results, rocksdb, MANY, device.READ, "cpu_us")), 70_000, "/s"),
        Goal("RocksDB, 4 KiB file read at depth 1, above the null device, tenant polls",
             minus(of_device(results, rocksdb, POLLS, device.READ, "p50_us"),
                   of_device(results, null, POLLS, device.READ, "p50_us")), 15, "us", True),
        Goal("RocksDB, 4 KiB files created at depth 32",
             of_device(results, rocksdb, MANY, device.NEW, "rate"), 15_000, "/s"),
        Goal("Valkey, 4 KiB files created at depth 32",
             of_device(results, valkey, MANY, device.NEW, "rate"), 8_000, "/s"),
        Goal("Valkey, READ of 4 KiB at depth 1, above a bare GET",
             minus(of_device(results, valkey, SLEEPS, device.READ_OPEN, "p50_us"),
                   median(results.get("device", {}).get(subjects.BARE_GET))), 12, "us", True),
        Goal("RocksDB against NFS, 4 KiB file read at depth 1",
             ratio(of_device(results, nfs, SLEEPS, device.READ, "p50_us"),
                   of_device(results, rocksdb, SLEEPS, device.READ, "p50_us")), 1.5, "times"),
        Goal("RocksDB against NFS, 4 KiB file written at depth 1",
             ratio(of_device(results, nfs, SLEEPS, device.WRITE, "p50_us"),
                   of_device(results, rocksdb, SLEEPS, device.WRITE, "p50_us")), 1.5, "times"),
        Goal("each further idle file system, less a null device's",
             minus(*(memory.each_mib(results["memory"], kind, "private")
                     for kind in (rocksdb, memory.NULLS))) if "memory" in results else None,
             1, "MiB", True),
    ]


def goal_section(results):
    rows = [[goal.title, f"{number(goal.value)} {goal.unit}", goal.wanted(), verdict(goal.met)]
            for goal in goals(results) if goal.met is not None]
    if not rows:
        return []
    return ["## Goals", "", *table(["", "measured", "goal", ""], rows),
            "*Medians of the parts below; which run and how is said there.*", ""]


# ---- The parts -----------------------------------------------------------------------------------

def device_section(results):
    lines = ["## Whole files of 4 KiB through a device", "", "![whole files](device.svg)", ""]
    names = [name for name in device.SERVED if name in results]
    for way in (SLEEPS, POLLS, MANY):
        key, what = ("rate", "operations per second") if way == MANY else ("p50_us", "p50 in us")
        rows = []
        for job, title in device.TITLES.items():
            found = {name: results[name].get(way, {}).get(job, ()) for name in names}
            rocksdb, nfs = (median([run[key] for run in found.get(name, ())])
                            for name in (subjects.ROCKSDB, subjects.NFS))
            against = ratio(nfs, rocksdb) if key == "p50_us" else ratio(rocksdb, nfs)
            rows.append([title, *(shown([run[key] for run in found[name]]) for name in names),
                         times(against)])
            rows.append(["&nbsp; CPU of the daemon, us",
                         *(shown([run["cpu_us"] for run in found[name]]) for name in names), ""])
        lines += table([f"{way}: {what}", *names, "RocksDB against NFS"], rows)
    bare_get = median(results.get(subjects.BARE_GET))
    if bare_get:
        lines += table(["", "p50 in us"], [[subjects.BARE_GET, number(bare_get)]])
    return lines + ["*By `dpfs bench`, a virtio-fs driver in user space: each file is LOOKUP (or CREATE), "
                    "OPEN, READ or WRITE of 4 KiB, FLUSH and RELEASE, as Linux sends them; the open file "
                    "has 1 MiB, read at random. Files lie in one directory and are in memory. Nothing is synchronized on purpose; an NFS server "
                    "stores what is closed. CPU is the daemon's alone, not that of servers behind it. Valkey's own "
                    "GET is by valkey-benchmark, 4 KiB, one connection. All "
                    "share this machine's processors, the servers too. The paper's Table 3 has "
                    f"{PAPER}.*", ""]


def mounts_section(results):
    names = [name for name in mounted.MOUNTED if name in results]
    rows, costs = [], []
    for job, title in mounted.TITLES.items():
        runs = [results[name].get(job, ()) for name in names]
        rows.append([title, *(shown([run["rate"] for run in each]) for each in runs)])
        costs.append([title, *(shown([run["cpu_us"] for run in each]) for each in runs)])
    return ["## On mounts of this machine", "", "![mounts](mounts.svg)", "",
            *table(["per second", *names], rows),
            *table(["CPU of daemon and servers for each, us", *names], costs),
            "*One program, one file after the other, mounted anew for each job, so that neither the "
            "kernel nor the daemon has anything in its caches; the page cache of this machine is "
            "warm. `dpfs mount` and S3QL are reached by /dev/fuse. All that S3QL is given to write has "
            "the same contents, which it stores once.*", ""]


def growth_rows(results):
    """(what, subject, layout, values by number of files) of each job's rate."""
    for job, title in growth.TITLES.items():
        for name, layouts in results.items():
            for layout, sizes in layouts.items():
                yield title, name, layout, {files: jobs[job] for files, jobs in sizes.items()
                                            if job in jobs}


def growth_section(results):
    places = sorted({files for layouts in results.values() for sizes in layouts.values()
                     for files in sizes})
    lines = ["## With more files", "", "![growth](growth.svg)", ""]
    for key, what in (("rate", "per second"), ("cpu_us", "CPU of the daemon, us")):
        rows = [[f"{title}; {name}, {layout}",
                 *(number(values.get(files, {}).get(key)) for files in places)]
                for title, name, layout, values in growth_rows(results)]
        lines += table([what, *(f"{files:,} files" for files in places)], rows)
    return lines + [f"*{growth.DEPTH} in flight, tenant sleeps, one run each; names at random. The tree "
                    f"has {growth.FILES_EACH} files in each folder. Of files that are created: beside "
                    "those that are there. RocksDB has its default cache of 256 MiB, the daemon 65,536 "
                    "inodes and as many names: with more than that, reads go to the engine and from there "
                    "to files that the page cache has.*", ""]


def memory_section(results):
    rows = []
    for kind in (memory.NULLS, subjects.ROCKSDB):
        rows.append([kind, *(number(min(run["private"] for run in results[kind][which]))
                             for which in (memory.ALONE, memory.MANY)),
                     *(f"{memory.each_mib(results, kind, what):.3f}"
                       for what in ("private", "resident"))])
    return ["## Memory of an idle file system", "",
            *table(["MiB", "one: private", f"{results['count']} more: private",
                    "each: private", "each: resident"], rows),
            "*One `dpfs serve`, one RocksDB database with a file system for each device; each has a tenant "
            "that has mounted, made a file of 4 KiB and does nothing. The least of the rounds; resident "
            "counts the tenants' pages that the daemon has touched, too. Null devices take what a device "
            "takes.*", ""]


SECTIONS = {"device": device_section, "mounts": mounts_section, "growth": growth_section,
            "memory": memory_section}


def markdown(results, about, notes):
    lines = ["# The key-value back end", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [f"- **{note}**" for note in notes]
    lines += ["", *goal_section(results)]
    for name, section in SECTIONS.items():
        if results.get(name):
            lines += section(results[name])
    return "\n".join(lines)


def rates(found, key):
    """Medians by subject and job."""
    return {name: {job: statistics.median(run[key] for run in runs) for job, runs in jobs.items()}
            for name, jobs in found.items()}


def plots(results, folder):
    """Writes the SVGs; returns their paths."""
    drawn = {}
    if results.get("device"):
        found = rates({name: results["device"][name].get(SLEEPS, {}) for name in device.SERVED
                       if name in results["device"]}, "p50_us")
        drawn["device"] = chart.bars(
            f"whole 4 KiB files, {SLEEPS}: p50 in us (less is better)", colours_of(found),
            [(title, {name: jobs.get(job) for name, jobs in found.items()})
             for job, title in device.TITLES.items()])
    if results.get("mounts"):
        found = rates(results["mounts"], "rate")
        # The bare directory would leave nothing of the others to see.
        found.pop(subjects.BARE, None)
        drawn["mounts"] = chart.bars(
            "on mounts, per second (more is better)", colours_of(found),
            [(title, {name: jobs.get(job) for name, jobs in found.items()})
             for job, title in mounted.TITLES.items()])
    if results.get("growth"):
        drawn["growth"] = growth_plot(results["growth"])
    written = []
    for name, text in drawn.items():
        path = folder / f"{name}.svg"
        path.write_text(text)
        written.append(path)
    return written


def colours_of(found):
    return {name: colour for name, colour in subjects.COLOURS.items() if name in found}


def growth_plot(results):
    """RocksDB's alone: the daemon's time for each operation."""
    palette = ("#1f77b4", "#aec7e8", "#2ca02c", "#98df8a", "#d9822b", "#ffbb78", "#9467bd", "#c5b0d5")
    series = {f"{title}, {layout}": {files: run["cpu_us"] for files, run in values.items()}
              for title, name, layout, values in growth_rows(results) if name == subjects.ROCKSDB}
    places = sorted({files for values in series.values() for files in values})
    return chart.lines("RocksDB: CPU of an operation by number of files (less is better)",
                       ("files", "us"), dict(zip(series, palette)), places, series)
