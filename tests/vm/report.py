# SPDX-License-Identifier: Apache-2.0
"""Collects what came of each case and prints it."""
import sys
import time

PASSED, FAILED, SKIPPED = "passed", "FAILED", "SKIPPED"
COLOURS = {PASSED: "32", FAILED: "31", SKIPPED: "33"}


class Report:
    def __init__(self):
        self.outcomes = {}
        self.begin = time.monotonic()
        self.coloured = sys.stdout.isatty()

    def heading(self, text):
        print(f"\n== {text} ({time.monotonic() - self.begin:.0f} s)", flush=True)

    def line(self, source, text):
        print(f"   {source:>6}| {text}", flush=True)

    def add(self, name, outcome, seconds=None, reason=""):
        self.outcomes[name] = (outcome, seconds, reason)
        print(self._row(name), flush=True)

    def passed(self, name, seconds=None):
        self.add(name, PASSED, seconds)

    def failed(self, name, reason, seconds=None):
        self.add(name, FAILED, seconds, reason)

    def skipped(self, name, reason):
        self.add(name, SKIPPED, None, reason)

    def _row(self, name):
        outcome, seconds, reason = self.outcomes[name]
        word = f"{outcome:7}"
        if self.coloured:
            word = f"\033[{COLOURS[outcome]}m{word}\033[0m"
        took = "" if seconds is None else f"{seconds:6.1f} s"
        return f"{word} {took:>8}  {name}" + (f": {reason}" if reason else "")

    def count(self, outcome):
        return sum(1 for found, _, _ in self.outcomes.values() if found == outcome)

    def summary(self):
        """Repeats what did not pass, ends with the three numbers. Returns the exit status."""
        print(f"\n== summary after {time.monotonic() - self.begin:.0f} s")
        for name, (outcome, _, _) in self.outcomes.items():
            if outcome != PASSED:
                print(self._row(name))
        print(f"{self.count(PASSED)} passed, {self.count(FAILED)} failed, "
              f"{self.count(SKIPPED)} skipped", flush=True)
        if self.count(FAILED):
            return 1
        # Nothing ran at all: automake's number for a skipped test.
        return 0 if self.count(PASSED) else 77
