# SPDX-License-Identifier: Apache-2.0
"""The conformance suites of tests/posix, in the guest. What is known to differ: docs/posix.md."""
import pathlib

import cases
import harness

KNOWN = pathlib.Path(__file__).resolve().parents[1] / "posix" / "known"
TIMEOUT_S = 300


class PosixCases(cases.Case):
    name = "posix_cases"


class PosixRandom(cases.Case):
    """The differential tester and fsx, shortly."""
    name = "posix_random"


POSIX = (PosixCases, PosixRandom)


def posix(bench, only):
    """The conformance suites on two request queues and two processors."""
    chosen = [case() for case in POSIX if not only or case.name in only]
    suite = bench.options.dpfs.parent / "tests" / "posix_suite"
    if bench.options.daemon == "virtiofsd" or not suite.exists():
        reason = "a suite for dpfs" if suite.exists() else f"{suite} was not built"
        for case in chosen:
            bench.report.skipped(bench.case_name(case.name), reason)
        return
    known = "".join((KNOWN / name).read_text() for name in ("fuse.txt", "virtiofs.txt"))
    files = {"rig/posix_suite": suite, "rig/posix_known": known.encode()}
    mount = [cases.Mount()]
    harness.boot_group(bench, mount + chosen, queues=2, smp=2, timeout_s=TIMEOUT_S, files=files)
