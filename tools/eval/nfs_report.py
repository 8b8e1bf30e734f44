# SPDX-License-Identifier: Apache-2.0
"""The evaluation as Markdown, below each table a line on what was measured and how, and plots."""
import statistics

import client
import host
import tenant
import workloads
from stage import COLOURS, GUEST_NFS, OURS, OURS_VIRTIO

import chart
from chart import number, spread

PAPER_GUEST, PAPER_DPFS = 88_453, 32_907
HOST_COLOURS = {host.FLOOR: "#bbbbbb", OURS: "#1f77b4", host.OURS_WRITES: "#7fb3d9",
                host.LIBNFS: "#d9822b", host.NULL: "#555555"}


def cells(*values):
    return "| " + " | ".join(values) + " |"


def table(head, rows):
    return [cells(*head), "|---" * len(head) + "|", *(cells(*row) for row in rows), ""]


def median(values):
    return statistics.median(values) if values else None


def shown(values):
    return number(median(values)) + spread(values) if values else "-"


def times(value):
    return "-" if value is None else f"{value:.2f}"


# ---- What the tenant pays ------------------------------------------------------------------------

def per_run(results, peer, name, key):
    return [run[key] for run in results.get(peer, {}).get(name, ())]


def tenant_rows(results):
    for direction in tenant.DIRECTIONS:
        for depth in tenant.DEPTHS:
            name = f"{direction}-{depth}"
            if not all(per_run(results, peer, name, "kernel") for peer in tenant.FOLDERS):
                continue
            yield direction, depth, name


def tenant_section(results, about):
    rows = []
    for direction, depth, name in tenant_rows(results):
        ratio = tenant.ratio(results, name)
        target = tenant.TARGETS[depth]
        rows.append([f"{direction}, depth {depth}",
                     *(shown(per_run(results, peer, name, "kernel")) for peer in tenant.FOLDERS),
                     f"{ratio:.2f}", f">= {target}", verdict(ratio >= target)])
    lines = ["## What 4 KiB costs the tenant", "", "![instructions](tenant.svg)", ""]
    lines += table(["kernel instructions for each operation", *tenant.FOLDERS, "ratio", "target",
                    ""], rows)
    lines += [f"*Counted by a plugin of QEMU's emulator in a stock guest ({about['guest']}), one "
              "processor, 4 KiB at random places of one file past the page cache (O_DIRECT); depth "
              "1 by pread and pwrite, 32 by Linux's AIO. Both clients are mounted in the same "
              f"guest, from the same server ({about['server']}), and take turns; medians, and half "
              f"the spread of the rounds. The guest's network is {about['network']}. The paper has "
              f"{PAPER_GUEST:,} against {PAPER_DPFS:,}, a ratio of "
              f"{PAPER_GUEST / PAPER_DPFS:.2f}.*", ""]
    rows = []
    for direction, depth, name in tenant_rows(results):
        rows.append([f"{direction}, depth {depth}",
                     *(shown(per_run(results, peer, name, key))
                       for key in ("interrupts", "kicks") for peer in tenant.FOLDERS)])
    lines += table(["for each operation",
                    *(f"{what}, {peer}" for what in ("interrupts", "notifications")
                      for peer in tenant.FOLDERS)], rows)
    lines += ["*Interrupts of virtio devices by the guest's /proc/interrupts; notifications are "
              "calls of the driver's vp_notify, each an exit of the virtual machine. An emulated "
              "guest is some fifty times slower than a real one while the server is as fast as "
              "ever, so at depth 32 fewer completions come together than on hardware.*", ""]
    lines += profile_lines(results)
    return lines


def profile_lines(results):
    """Where the instructions of reads at depth 32 go, for those who want to lower them."""
    lines = ["<details><summary>Where the guest's instructions go</summary>", ""]
    for name in ("read-1", "read-32"):
        runs = results.get(OURS_VIRTIO, {}).get(name)
        if not runs:
            continue
        rows = [[f"`{function}`", number(instructions), number(calls)]
                for function, instructions, calls in runs[-1]["profile"][:15]]
        lines += table([f"{OURS_VIRTIO}, {name}", "instructions", "calls"], rows)
    return [*lines, "*Of the last round, for each operation, by blocks of code and the guest's "
            "/proc/kallsyms.*", "", "</details>", ""]


# ---- On the host ---------------------------------------------------------------------------------

def throughput_section(results, about):
    names = [name for name in HOST_COLOURS if name in results]
    rows = []
    for depth in host.DEPTHS:
        rates = {name: median([run["rate"] for run in results[name].get(depth, ())])
                 for name in names}
        ratio = (rates[OURS] / rates[host.LIBNFS]
                 if rates.get(OURS) and rates.get(host.LIBNFS) else None)
        rows.append([str(depth), *(shown([run["rate"] for run in results[name].get(depth, ())])
                                   for name in names), times(ratio)])
    return ["## Throughput by depth", "", "![throughput](throughput.svg)", "",
            *table(["depth", *names, f"{OURS} / {host.LIBNFS}"], rows),
            "*Operations per second, 4 KiB at random places. dpfs: reads (and writes) by `dpfs "
            "bench`, a virtio-fs driver in user space that sleeps until it is interrupted, through "
            f"the device to {about['server']} on loopback. libnfs: reads by its asynchronous "
            "interface, NFSv4.0, from the same server, without any device. Bare TCP: 150 bytes "
            "there and 4200 back, both ends polling. All share this machine's processors, the "
            "server too.*", ""]


def latency_rows(results):
    """What one read's time is made of, of a tenant that waits in one way: (what, p50 in us)."""
    found = {name: median([run["p50_us"] for run in runs.get(1, ())])
             for name, runs in results.items()}
    total, null = found.get(OURS), found.get(host.NULL)
    return [("device alone (null)", null),
            ("NFS: client, network and server", total - null if total and null else None),
            ("total: read through the device", total),
            ("libnfs, without a device", found.get(host.LIBNFS)),
            ("bare TCP", found.get(host.FLOOR))]


def latency_section(results, about):
    columns = [dict(latency_rows(results[wait])) for wait in host.WAITS]
    rows = [[label, *(number(column[label]) for column in columns)] for label in columns[0]]
    return ["## What latency is made of", "", "![latency](latency.svg)", "",
            *table(["4 KiB read, one in flight, p50 in us", "tenant sleeps", "tenant polls"], rows),
            "*By `dpfs bench` at depth 1: the null device answers at once, so its time is the "
            f"device's own; the total is with {about['server']} behind; NFS is the difference. A "
            "tenant that sleeps is woken by an interrupt, unless the answer is there before it has "
            "fallen asleep. libnfs sleeps, both ends of bare TCP poll.*", ""]


def client_section(results):
    rows = []
    for depth in client.DEPTHS:
        runs = results[OURS][depth]
        rows.append([f"4 KiB random reads, depth {depth}", shown([run["rate"] for run in runs]),
                     shown([run["cpu_us"] for run in runs]), shown([run["p50_us"] for run in runs]),
                     shown([run["rate"] for run in results[host.FLOOR][depth]])])
    [runs] = results[client.SEQUENTIAL].values()
    rows.append([client.SEQUENTIAL, shown([run["rate"] for run in runs]),
                 shown([run["cpu_us"] for run in runs]), shown([run["p50_us"] for run in runs]),
                 ""])
    lines = table([OURS, "per second", "CPU of the daemon, us", "p50, us", host.FLOOR], rows)
    return ["## The client alone", "", *lines, *client_targets(results),
            "*Through the device, `dpfs bench` as the tenant, from `nfs_responder --canned`, which "
            "answers from memory. The tenant polls; CPU is the daemon's for each read, from virtqueue "
            "to virtqueue, polling in vain included. Where there are two processors for the three "
            "of them, they keep each other waiting.*", ""]


def client_targets(results):
    at_32 = results[OURS][32]
    [sequential] = results[client.SEQUENTIAL].values()
    cpu_us = median([run["cpu_us"] for run in at_32])
    # What one processor could do if it did nothing else.
    per_core = 1e6 / cpu_us if cpu_us else 0
    bytes_per_s = (1 << 20) * 1e6 / median([run["cpu_us"] for run in sequential])
    rows = [["CPU of a read at depth 32", f"{cpu_us:.2f} us", f"<= {client.CPU_US_MAX} us",
             verdict(cpu_us <= client.CPU_US_MAX)],
            ["reads for each core", f"{per_core:,.0f}/s", f">= {client.RATE_MIN:,}/s",
             verdict(per_core >= client.RATE_MIN)],
            [f"{client.SEQUENTIAL} for each core", f"{bytes_per_s / 1e9:.2f} GB/s",
             f">= {client.BYTES_PER_S_MIN / 1e9:.0f} GB/s",
             verdict(bytes_per_s >= client.BYTES_PER_S_MIN)]]
    return table(["", "", "target", ""], rows)


def verdict(met):
    return "met" if met else "**missed**"


# ---- Workloads -----------------------------------------------------------------------------------

def host_section(results, about):
    rows = []
    for name, title in workloads.TITLES.items():
        bare, ours = (median(results[who].get(name, []))
                      for who in (workloads.SERVERS_OWN, workloads.MOUNT))
        rows.append([title, shown(results[workloads.SERVERS_OWN].get(name, [])),
                     shown(results[workloads.MOUNT].get(name, [])),
                     times(ours / bare if bare and ours else None)])
    return ["## Workloads on this machine", "",
            *table(["per second", workloads.SERVERS_OWN, workloads.MOUNT, "ratio"], rows),
            f"*Through `dpfs mount` of {about['server']} on loopback, mounted anew for each job, "
            "beside the directory that the server exports: no network, no server, its page cache "
            "is warm, and nobody waits for the disk. What is closed on NFS is on the server's disk "
            "(COMMIT): of files that are made, that is nearly all of the time.*", ""]


def guest_section(results):
    rows = []
    for name, title in workloads.TITLES.items():
        kernel = {peer: per_run(results, peer, name, "kernel") for peer in workloads.FOLDERS}
        theirs, ours = median(kernel[GUEST_NFS]), median(kernel[OURS_VIRTIO])
        rows.append([title, *(shown(kernel[peer]) for peer in workloads.FOLDERS),
                     times(theirs / ours if theirs and ours else None),
                     *(shown(per_run(results, peer, name, "interrupts"))
                       for peer in workloads.FOLDERS)])
    return ["## Workloads in the guest", "",
            *table(["for each file or MiB", *(f"kernel instructions, {peer}"
                                              for peer in workloads.FOLDERS), "ratio",
                    *(f"interrupts, {peer}" for peer in workloads.FOLDERS)], rows),
            "*The same jobs in the guest, counted as above; mounted anew and caches dropped before "
            "each. Time is not given: an emulated guest's says nothing.*", ""]


# ---- All of it -----------------------------------------------------------------------------------

def markdown(results, about, notes):
    lines = ["# NFS behind virtio-fs, and the guest's own NFS client", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [f"- **{note}**" for note in notes]
    lines.append("")
    sections = {"tenant": lambda found: tenant_section(found, about),
                "throughput": lambda found: throughput_section(found, about),
                "latency": lambda found: latency_section(found, about),
                "client": client_section,
                "workloads": lambda found: host_section(found, about),
                "guest workloads": guest_section}
    for name, section in sections.items():
        if name in results:
            lines += section(results[name])
    return "\n".join(lines)


def plots(results, folder):
    """Writes the SVGs; returns their paths."""
    drawn = {}
    if "tenant" in results:
        found = results["tenant"]
        drawn["tenant"] = chart.bars(
            "kernel instructions of the tenant for 4 KiB (less is better)", COLOURS,
            [(f"{direction}, depth {depth}",
              {peer: tenant.median(found, peer, name, "kernel") for peer in COLOURS})
             for direction, depth, name in tenant_rows(found)])
    if "throughput" in results:
        found = results["throughput"]
        # Bare TCP would leave nothing of the others to see.
        series = {name: {depth: median([run["rate"] for run in runs])
                         for depth, runs in found[name].items()}
                  for name in found if name != host.FLOOR}
        drawn["throughput"] = chart.lines("4 KiB over NFS by depth (more is better)",
                                          ("requests in flight", "operations per second"),
                                          HOST_COLOURS, list(host.DEPTHS), series)
    if "latency" in results:
        drawn["latency"] = chart.bars(
            "4 KiB read, one in flight, tenant sleeps, us (less is better)", {"p50": "#1f77b4"},
            [(label, {"p50": value}) for label, value in latency_rows(results["latency"]["sleep"])
             if value is not None])
    written = []
    for name, text in drawn.items():
        path = folder / f"{name}.svg"
        path.write_text(text)
        written.append(path)
    return written
