# SPDX-License-Identifier: Apache-2.0
"""What every comparison says, is asked, and leaves behind."""
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# In cores. More than this, and the figures are about the other work too.
NOISE_MAX = 0.1


def say(text):
    print(f"bench: {text}", flush=True)


def add_options(parser, results, where="below --output"):
    """`results`: the folder below build/ where they go. `where`: what is measured, by default."""
    parser.add_argument("--dpfs", type=pathlib.Path, default=ROOT / "build/release/dpfs",
                        help="the program (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / results,
                        help="where the results go (default: %(default)s)")
    parser.add_argument("--folder", type=pathlib.Path,
                        help="where to put the directory: choose the file system to measure on "
                             f"(default: {where})")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each peer (default: 5)")


def write(output, name, facts, results, table, pictures):
    """Into files of that name. The plots are there already."""
    (output / f"{name}.json").write_text(
        json.dumps({"about": facts, "results": results}, indent=2) + "\n")
    (output / f"{name}.md").write_text(table)
    print("\n" + table)
    say(f"written: {output}/{name}.md, {name}.json"
        + "".join(f", {path.name}" for path in pictures))


def warn_of(noise):
    if noise > NOISE_MAX:
        say("WARNING: the machine was busy with other work; measure again when it rests")
