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
    files = suite_files(bench, chosen, ("fuse.txt", "virtiofs.txt"))
    if files:
        harness.boot_group(bench, [cases.Mount(), *chosen], queues=2, smp=2, timeout_s=TIMEOUT_S,
                           files=files)


def posix_kv(bench, only):
    """The same on a file system in a RocksDB database."""
    chosen = [case() for case in POSIX if not only or case.name in only]
    files = suite_files(bench, chosen, ("kv.txt", "virtiofs.txt"))
    if not files:
        return
    bench.url = f"kv+rocksdb:{bench.share}"
    job = "".join(f"mkdir /mnt/{case.name}\nrun_case {case.name}\n" for case in chosen)
    with bench.daemon(queues=2, extra=["--create"]) as daemon:
        with bench.vm(f"mount_share {harness.TAG} /mnt\n{job}umount /mnt", queues=2, smp=2,
                      files=files) as vm:
            harness.run_cases(bench, vm, chosen, TIMEOUT_S)
        harness.check_ended(bench, daemon)


def suite_files(bench, chosen, known):
    """What the guest needs; or nothing, and the cases are skipped."""
    suite = bench.options.dpfs.parent / "tests" / "posix_suite"
    if bench.options.daemon == "virtiofsd" or not suite.exists():
        reason = "a suite for dpfs" if suite.exists() else f"{suite} was not built"
        for case in chosen:
            bench.report.skipped(bench.case_name(case.name), reason)
        return None
    differences = "".join((KNOWN / name).read_text() for name in known)
    return {"rig/posix_suite": suite, "rig/posix_known": differences.encode()}
