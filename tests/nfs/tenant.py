# SPDX-License-Identifier: Apache-2.0
"""A VM tenant whose files are on the NFS server: the cases of tests/vm, and faults meanwhile."""
from clients import CheckError, Skip

import cases
import harness
import posix_suite
from report import FAILED

TIMEOUT_S = 600


class TenantBench(harness.Bench):
    """The bench of tests/vm, whose shared directory is what an NFS server exports."""

    def __init__(self, bench, server, name):
        super().__init__(bench.kit, bench.report, bench.options, name)
        self.share = server.exported
        self.url = server.url()
        # Neither this server nor NFS before 4.2 has any.
        self.attributes = False


def run_group(bench, name, chosen, **options):
    server = bench.server()
    with TenantBench(bench, server, name) as tenant:
        before = set(bench.report.outcomes)
        harness.boot_group(tenant, [cases.Mount(), *chosen], queues=2, smp=2, timeout_s=TIMEOUT_S,
                           **options)
        new = set(bench.report.outcomes) - before
        failed = [one for one in new if bench.report.outcomes[one][0] == FAILED]
        if failed:
            raise CheckError(f"{', '.join(sorted(failed))}, see above")


def everyday(bench):
    """Copies, trees, names, files that are open while they are renamed, fio with checksums."""
    run_group(bench, "tenant", [cases.CopyIn(), cases.CopyOut(), cases.OpenFiles(), cases.Fio()])


def posix(bench):
    """The POSIX cases, random operations and fsx in the guest."""
    suite = bench.options.dpfs.parent / "tests" / "posix_suite"
    if not suite.exists():
        raise Skip(f"{suite} was not built")
    known = "".join((posix_suite.KNOWN / name).read_text()
                    for name in ("fuse.txt", "virtiofs.txt", "nfs.txt"))
    run_group(bench, "tenant", [case() for case in posix_suite.POSIX],
              files={"rig/posix_suite": suite, "rig/posix_known": known.encode()})


QUICK = ()
ALL = (everyday, posix)
