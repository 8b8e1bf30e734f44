# SPDX-License-Identifier: Apache-2.0
"""The comparison as a Markdown table and as plots."""
import re
import statistics

import chart
from chart import number, spread
from plan import FIGURES, OURS, THEIRS


class Row:
    """A figure with its medians; None where it was not measured."""

    def __init__(self, figure, results):
        self.figure = figure
        self.samples = {peer: samples(figure, results, peer) for peer in (OURS, THEIRS)}
        self.ours = median(self.samples[OURS])
        self.theirs = median(self.samples[THEIRS])

    @property
    def ratio(self):
        if self.ours is None or not self.theirs:
            return None
        return self.ours / self.theirs

    @property
    def met(self):
        """True, False, or None where there is no target or nothing to hold against it."""
        if self.figure.target is None or self.ours is None:
            return None
        if self.figure.compares and self.theirs is None:
            return None
        return bool(self.figure.target(self.ours, self.theirs))


def samples(figure, results, peer):
    """One value for each round."""
    values = []
    for report in results.get(peer, {}).get(figure.group, []):
        for job in report["jobs"]:
            if job["job"] == figure.job:
                values.append(figure.value(job))
    return [value for value in values if value is not None]


def median(values):
    return statistics.median(values) if values else None


def rows(results):
    return [Row(figure, results) for figure in FIGURES]


def markdown(results, about):
    lines = ["# dpfs and virtiofsd side by side", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "Medians, and half the spread of the rounds. CPU is the daemon's own time for each "
              "operation. Where a row does not say that the tenant polls, it waits for interrupts, "
              "as Linux does.", "",
              f"| | unit | {THEIRS} | {OURS} | ratio | target | |", "|---|---|---|---|---|---|---|"]
    verdicts = {True: "met", False: "**missed**", None: ""}
    for row in rows(results):
        if row.ours is None and row.theirs is None:
            continue
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(f"| {row.figure.title} | {row.figure.unit} "
                     f"| {number(row.theirs)}{spread(row.samples[THEIRS])} "
                     f"| {number(row.ours)}{spread(row.samples[OURS])} "
                     f"| {ratio} | {row.figure.target_text} | {verdicts[row.met]} |")
    return "\n".join(lines) + "\n"


# (file, unit, title); a figure that nobody compares would only shorten the bars of the others.
PLOTS = (
    ("cpu", "us/op", "CPU of the daemon for each operation, us (less is better)"),
    ("rate", "op/s", "operations per second (more is better)"),
    ("latency", "us", "latency with one request in flight, us (less is better)"),
)


def plotted(results, unit):
    """The rows of one plot: what both have, and no outliers' percentiles."""
    return [row for row in rows(results)
            if row.figure.unit == unit and row.ours is not None
            and (row.theirs is not None or THEIRS not in results)
            and not row.figure.title.endswith("p99")]


COLOURS = {THEIRS: "#9a9a9a", OURS: "#1f77b4"}


def bars(title, picked):
    """An SVG of both peers' bars for each row."""
    return chart.bars(title, COLOURS, [(re.sub(", (CPU|rate|p50)$", "", row.figure.title),
                                        {THEIRS: row.theirs, OURS: row.ours}) for row in picked])


def plots(results, folder):
    """Writes the SVGs; returns their paths."""
    written = []
    for name, unit, title in PLOTS:
        picked = plotted(results, unit)
        if picked:
            path = folder / f"{name}.svg"
            path.write_text(bars(title, picked))
            written.append(path)
    return written
