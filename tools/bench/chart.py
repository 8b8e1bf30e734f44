# SPDX-License-Identifier: Apache-2.0
"""Numbers for people: rounded, with their spread, and as bars."""
import statistics
from xml.sax.saxutils import escape

WIDTH, LABELS, VALUES, BAR, GAP, TOP = 900, 300, 110, 18, 14, 70


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


def bars(title, colours, groups):
    """An SVG of horizontal bars, in groups of a bar for each peer, each with its value.

    `colours`: by peer, in their order. `groups`: (label, values by peer), None for no value.
    """
    longest = max((value for _, values in groups for value in values.values() if value), default=1)
    scale = (WIDTH - LABELS - VALUES) / longest
    group_height = len(colours) * BAR + GAP
    height = TOP + len(groups) * group_height + GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             'font-family="sans-serif" font-size="14">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             f'<text x="{LABELS}" y="28" font-size="17">{escape(title)}</text>']
    for place, (peer, colour) in enumerate(colours.items()):
        x = LABELS + place * 140
        parts.append(f'<rect x="{x}" y="42" width="14" height="14" fill="{colour}"/>'
                     f'<text x="{x + 20}" y="54">{escape(peer)}</text>')
    for place, (label, values) in enumerate(groups):
        y = TOP + place * group_height
        parts.append(f'<text x="{LABELS - 10}" y="{y + len(colours) * BAR / 2 + 5:g}" '
                     f'text-anchor="end">{escape(label)}</text>')
        for offset, (peer, colour) in enumerate(colours.items()):
            value = values.get(peer)
            if value is None:
                continue
            length = value * scale
            top = y + offset * BAR
            parts.append(f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" '
                         f'height="{BAR - 1}" fill="{colour}"/>'
                         f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">'
                         f'{number(value)}</text>')
    return "\n".join([*parts, "</svg>", ""])
