# SPDX-License-Identifier: Apache-2.0
"""The comparison of mounts as a Markdown table and as plots."""
import dataclasses
import statistics

import chart
import mount_plan as plan


@dataclasses.dataclass(frozen=True)
class Figure:
    """Of one job. `better(a, b)`: whether a is at least as good as b."""
    key: str
    title: str
    unit: str
    better: object


RATE = Figure("rate", "operations per second (more is better)", "op/s", lambda a, b: a >= b)
CPU = Figure("cpu_us", "CPU of the daemon for each operation, us (less is better)", "us/op",
             lambda a, b: a <= b)


class Row:
    """A job's medians by peer; a peer that was not measured has none."""

    def __init__(self, job, figure, results):
        self.job = job
        self.figure = figure
        self.samples = {peer: [run[job.name][figure.key] for run in results.get(peer, ())
                               if job.name in run] for peer in plan.COLOURS}
        self.medians = {peer: statistics.median(values)
                        for peer, values in self.samples.items() if values}

    def ratio(self, peer, to):
        ours, theirs = self.medians.get(peer), self.medians.get(to)
        return ours / theirs if ours is not None and theirs else None

    def missed(self):
        """What is said of a target that was not met."""
        if self.figure is not RATE:
            return []
        said = []
        for peer, to in ((plan.OURS, plan.THEIRS), (plan.OURS_URING, plan.THEIRS)):
            ratio = self.ratio(peer, to)
            if ratio is not None and ratio < 1:
                said.append(f"{self.job.title}: {peer} has {ratio:.2f} of {to}'s rate")
        return said


def rows(results, figure):
    found = [Row(job, figure, results) for job in plan.JOBS]
    return [row for row in found if row.medians]


def table(results, figure, peers):
    lines = [f"| {figure.unit} | " + " | ".join(peers)
             + f" | {plan.OURS} / {plan.THEIRS} | {plan.OURS_URING} / {plan.THEIRS} |",
             "|---" * (len(peers) + 3) + "|"]
    for row in rows(results, figure):
        cells = [chart.number(row.medians.get(peer)) + chart.spread(row.samples[peer])
                 for peer in peers]
        ratios = [row.ratio(peer, plan.THEIRS) for peer in (plan.OURS, plan.OURS_URING)]
        cells += ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| {row.job.title} | " + " | ".join(cells) + " |")
    return lines


def markdown(results, about):
    peers = [peer for peer in plan.COLOURS if peer in results]
    lines = ["# dpfs mount, libfuse's passthrough_hp and the directory itself", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "Medians, and half the spread of the rounds. The first rows are of mounts whose "
              "kernel keeps nothing, so that each operation is one of the daemon's; for the walks "
              "and the archive it keeps names, attributes and contents for a day, and writes back "
              "later.", ""]
    lines += table(results, RATE, peers)
    lines += ["", "CPU is the daemon's own time, the kernel's part of it included.", ""]
    lines += table(results, CPU, [peer for peer in peers if peer != plan.BARE])
    return "\n".join(lines) + "\n"


def plots(results, folder):
    """Writes the SVGs; returns their paths."""
    written = []
    for name, figure in (("rate", RATE), ("cpu", CPU)):
        colours = {peer: colour for peer, colour in plan.COLOURS.items()
                   if peer in results and (figure is RATE or peer != plan.BARE)}
        groups = [(row.job.title, in_reach(row.medians, colours))
                  for row in rows(results, figure)]
        if groups and colours:
            path = folder / f"{name}.svg"
            path.write_text(chart.bars(f"dpfs mount: {figure.title}", colours, groups))
            written.append(path)
    return written


def in_reach(medians, colours):
    """A bare directory is so much faster that the others' bars would be too short to compare."""
    others = [value for peer, value in medians.items() if peer != plan.BARE]
    return {peer: value for peer, value in medians.items() if peer in colours
            and (peer != plan.BARE or not others or value <= 3 * max(others))}
