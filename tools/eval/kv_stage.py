# SPDX-License-Identifier: Apache-2.0
"""What all parts of the key-value evaluation share."""
import dataclasses
import pathlib
import statistics

from stage import say


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is done of everything."""
    rounds: int
    seconds: float  # of each run
    files: int  # small ones, of each run through a device
    mounted: int  # those on mounts
    sizes: tuple  # numbers of files, for the growth
    idle: int  # further idle file systems


FULL = Effort(rounds=5, seconds=1.0, files=1000, mounted=2000,
              sizes=(1_000, 10_000, 100_000, 1_000_000), idle=100)
QUICK = Effort(rounds=2, seconds=0.3, files=200, mounted=300, sizes=(1_000, 10_000), idle=20)


@dataclasses.dataclass
class Stage:
    """What every part gets."""
    kit: object  # the rig's: Valkey, Ganesha
    dpfs: pathlib.Path
    programs: pathlib.Path  # the folder with the loads
    storage: pathlib.Path  # where everybody's files are
    sockets: pathlib.Path
    effort: Effort
    wanted: tuple  # names of subjects
    notes: list  # what the reader has to know
    others: list  # for each run, how many cores' worth of other work the machine did
    said: dict = dataclasses.field(default_factory=dict)  # who was measured, by name

    def note(self, text):
        if text not in self.notes:
            say(text)
            self.notes.append(text)

    def noise(self):
        return max(statistics.median(self.others), 0) if self.others else None


def in_turn(things, round_number):
    """Who begins takes turns, so that a machine that warms up favours nobody."""
    return things if round_number % 2 == 0 else things[::-1]
