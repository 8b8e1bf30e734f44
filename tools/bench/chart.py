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


# By depth or size: as wide as the bars.
LINES_HEIGHT, LEFT, RIGHT, BOTTOM = 420, 90, 190, 60


def lines(title, labels, colours, places, series):
    """An SVG of one line for each series, over places that double (1, 2, 4 ...).

    `labels`: of the axes, (horizontal, vertical). `series`: name to values by place, None where
    there is none. `colours`: by name.
    """
    top = max((value for values in series.values() for value in values.values() if value),
              default=1)
    width, height = WIDTH - LEFT - RIGHT, LINES_HEIGHT - TOP - BOTTOM
    steps = max(len(places) - 1, 1)

    def x(place):
        return LEFT + places.index(place) * width / steps

    def y(value):
        return TOP + height * (1 - value / top)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{LINES_HEIGHT}" '
             'font-family="sans-serif" font-size="14">',
             f'<rect width="{WIDTH}" height="{LINES_HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="28" font-size="17">{escape(title)}</text>',
             f'<text x="{LEFT + width / 2:.0f}" y="{LINES_HEIGHT - 14}" text-anchor="middle">'
             f'{escape(labels[0])}</text>',
             f'<text x="{LEFT}" y="{TOP - 16}">{escape(labels[1])}</text>']
    for part in range(5):
        value = top * part / 4
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{y(value):.1f}" '
                     f'y2="{y(value):.1f}" stroke="#dddddd"/>'
                     f'<text x="{LEFT - 8}" y="{y(value) + 5:.1f}" text-anchor="end">'
                     f'{number(value)}</text>')
    for place in places:
        parts.append(f'<text x="{x(place):.1f}" y="{TOP + height + 22}" text-anchor="middle">'
                     f'{place}</text>')
    lowest = TOP
    for name, values in sorted(series.items(), key=lambda item: -(last(item[1]) or 0)):
        points = [(x(place), y(values[place])) for place in places
                  if values.get(place) is not None]
        if not points:
            continue
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" '
                     'stroke-width="2"/>')
        # Beside its end, and never on another's name.
        lowest = max(points[-1][1] + 5, lowest)
        parts.append(f'<text x="{points[-1][0] + 10:.1f}" y="{lowest:.1f}" '
                     f'fill="{colours[name]}">{escape(name)}</text>')
        lowest += 17
    return "\n".join([*parts, "</svg>", ""])


def last(values):
    return next((value for value in reversed(list(values.values())) if value is not None), None)
