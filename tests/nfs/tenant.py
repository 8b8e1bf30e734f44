# SPDX-License-Identifier: Apache-2.0
"""A VM tenant whose files are on the NFS server: the cases of tests/vm, and faults meanwhile."""
import pathlib
import time

from clients import Skip, check

import cases
import harness
import posix_suite
import recipe
from report import FAILED
from vm import Vm

TIMEOUT_S = 600
GUEST = pathlib.Path(__file__).resolve().parent / "guest"
# How long the guest works before each fault.
CALM_S = 3


class TenantBench(harness.Bench):
    """The bench of tests/vm, whose shared directory is what an NFS server exports."""

    def __init__(self, bench, server, name):
        super().__init__(bench.kit, bench.report, bench.options, name)
        self.share = server.exported
        self.url = server.url()
        # Neither this server nor NFS before 4.2 has any.
        self.attributes = False
        self._guest = None

    @staticmethod
    def scripts():
        """Those of tests/vm, but for what is different on NFS."""
        return harness.Bench.scripts() | {f"rig/cases/{path.name}": path
                                          for path in GUEST.glob("*.sh")}

    def vm(self, job, **options):
        self._guest = super().vm(job, **options)
        return self._guest

    def daemon_line(self, text):
        super().daemon_line(text)
        # The guest would wait for ever.
        if "ended by the kernel" in text and self._guest:
            self._guest.kill()


def run_group(bench, chosen, **options):
    """Boots a guest whose share is the export, for the cases that `chosen` makes for the server."""
    server = bench.server()
    with TenantBench(bench, server, "guest") as tenant:
        before = set(bench.report.outcomes)
        harness.boot_group(tenant, [cases.Mount(), *chosen(server)], queues=2, smp=2,
                           timeout_s=TIMEOUT_S, **options)
        check_outcomes(bench, set(bench.report.outcomes) - before)


def check_outcomes(bench, names):
    failed = [name for name in names if bench.report.outcomes[name][0] == FAILED]
    check(not failed, f"{', '.join(sorted(failed))}, see above")


def everyday_cases(_server):
    return [cases.CopyIn(), cases.CopyOut(), cases.OpenFiles(), cases.Fio()]


def everyday(bench):
    """Copies, trees, names, files that are open while they are renamed, fio with checksums."""
    run_group(bench, everyday_cases)


def posix(bench):
    """The POSIX cases, random operations and fsx in the guest."""
    suite = bench.options.dpfs.parent / "tests" / "posix_suite"
    if not suite.exists():
        raise Skip(f"{suite} was not built")
    known = "".join((posix_suite.KNOWN / name).read_text()
                    for name in ("fuse.txt", "virtiofs.txt", "nfs.txt"))
    run_group(bench, lambda _: [case() for case in posix_suite.POSIX],
              files={"rig/posix_suite": suite, "rig/posix_known": known.encode()})


class OverRestarts(cases.Case):
    name = "over_restarts"

    def __init__(self, server):
        self.server = server

    def answer(self, question, folder):
        time.sleep(CALM_S)
        if question == "kill":
            self.server.kill()
            self.server.start()
        else:
            self.server.restart()
        return "done"


def over_restarts(bench):
    """fio with checksums in the guest, over two restarts and a kill -9 of the server."""
    run_group(bench, lambda server: [OverRestarts(server)])


# The way to the host's loopback from a guest with QEMU's own network.
HOST_OF_GUEST = "10.0.2.2"
KERNEL_CLIENT = """
for module in {modules}; do insmod "/modules/$module.ko" || exit 1; done
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
mkdir -p /mnt
mount -i -t nfs4 -o "vers=4.2,port={port},addr={host},clientaddr=10.0.2.15,proto=tcp,sec=sys,hard" \
  "{host}:/{export}" /mnt || exit 1
run_case over_restarts
umount /mnt
"""


def kernels_client(bench):
    """The same with the guest kernel's own NFS client: server and rig are as they should be."""
    server = bench.server()
    with TenantBench(bench, server, "kernel") as tenant:
        case = OverRestarts(server)
        (tenant.share / case.name).mkdir()
        job = KERNEL_CLIENT.format(modules=" ".join(recipe.NFS_CLIENT), port=server.port,
                                   host=HOST_OF_GUEST, export=server.NAME)
        network = ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        vm = Vm(bench.kit, job=f". /rig/lib.sh\n{job}", smp=2, qemu_arguments=network,
                accelerator=bench.options.accelerator,
                files=bench.kit.module_files(recipe.NFS_CLIENT) | tenant.scripts())
        with vm:
            harness.run_cases(tenant, vm, [case], TIMEOUT_S)
        check_outcomes(bench, {"kernel/over_restarts"})


QUICK = (over_restarts,)
ALL = (*QUICK, everyday, posix, kernels_client)
