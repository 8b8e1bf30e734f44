# SPDX-License-Identifier: Apache-2.0
"""The comparison as a Markdown table and as plots."""
import shutil
import statistics
import subprocess

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


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def spread(values):
    """Half the distance between the extremes, in percent of the median."""
    if len(values) < 2 or not statistics.median(values):
        return ""
    return f" ±{(max(values) - min(values)) / 2 / statistics.median(values) * 100:.0f} %"


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


def gnuplot_script(path, title, picked):
    """Bars with their data inside the script, so that the file can be run again alone.

    Each line of the data: a title, then for both peers the place, the value and its text.
    """
    lines = []
    for place, row in enumerate(picked):
        theirs, ours = row.theirs or 0, row.ours or 0
        name = row.figure.title.removesuffix(", CPU").removesuffix(", rate").removesuffix(", p50")
        lines.append(f'"{name}" {place} {place - 0.2:.1f} {theirs:.6g} "{number(row.theirs)}" '
                     f'{place + 0.2:.1f} {ours:.6g} "{number(row.ours)}"')
    data = "\n".join(lines)
    longest = max(max(row.theirs or 0, row.ours or 0) for row in picked) or 1
    return f"""\
set terminal svg size 900,{110 + 46 * len(picked)} font "sans-serif,13" background "white"
set output "{path}"
set title "{title}"
set style fill solid 0.9 noborder
set xrange [0:{longest * 1.15:.6g}]
set yrange [{len(picked) - 0.5}:-0.5]
set format x "%.0s%c"
set grid xtics lc rgb "#dddddd"
set border 3
set tics nomirror scale 0
set key below
$data << END
{data}
END
plot $data using (0):3:(0):4:($3-0.18):($3+0.18):ytic(1) with boxxyerror \\
       lc rgb "#999999" title "{THEIRS}", \\
     $data using (0):6:(0):7:($6-0.18):($6+0.18) with boxxyerror \\
       lc rgb "#1f77b4" title "{OURS}", \\
     $data using 4:3:5 with labels left offset 0.5,0 notitle, \\
     $data using 7:6:8 with labels left offset 0.5,0 notitle
"""


def plots(results, folder):
    """Writes the SVGs; returns their paths, none where gnuplot is missing."""
    if not shutil.which("gnuplot"):
        return []
    written = []
    for name, unit, title in PLOTS:
        picked = plotted(results, unit)
        if not picked:
            continue
        path = folder / f"{name}.svg"
        subprocess.run(["gnuplot", "-"], input=gnuplot_script(path, title, picked), text=True,
                       check=True, timeout=60)
        written.append(path)
    return written
