# SPDX-License-Identifier: Apache-2.0
"""Cases in which the host does something to the VMM meanwhile: kills it, or gives it memory."""
import filecmp
import os
import time

import cases
import harness
from harness import Snapshot, check_daemon, leaks, run_cases
from vm import VmError

BOOT_TIMEOUT_S = 120
NEW_VMM_MARK = "still here"
# The guest has less memory than this before the modules come, about 270 MiB of these.
MEMORY_MIB = 384
SOURCE_MIB = 300
MODULE_MIB = 128
MODULES = 4
# As many request queues as the daemon knows; the guest uses one for each processor.
QUEUES_MAX = 64


class KilledVmm(cases.Case):
    name = "killed_in_the_middle"


class NewVmm(cases.Case):
    """What a new guest finds and does on the same device."""
    name = "after_kill"

    def verify(self, folder):
        cases.check(cases.check_sums(folder) == 1, "the new guest's file is not there")


class TerminatedDaemon(cases.Case):
    name = "terminated_in_the_middle"


class HotPlug(cases.Case):
    """The guest does I/O all the while and asks for memory in between."""
    name = "hot_plug"

    def __init__(self, vm_box):
        self.vm_box = vm_box

    def prepare(self, folder):
        (folder / "source").write_bytes(os.urandom(SOURCE_MIB * cases.MIB))

    def answer(self, question, folder):
        cases.check(question == "plug", f"asked '{question}'")
        for number in range(MODULES):
            self.vm_box[0].plug_memory(number, MODULE_MIB)
            time.sleep(0.5)
        return "ok"

    def verify(self, folder):
        cases.check(filecmp.cmp(folder / "source", folder / "copy", shallow=False),
                    "the copy made through the new memory differs")


KILLED_VMM = (KilledVmm, NewVmm, TerminatedDaemon)
HOT_PLUG = (HotPlug,)


def killed_vmm(bench, _only):
    """A VMM killed with -9 in the middle of I/O; the same daemon serves the next ones."""
    if bench.options.daemon == "virtiofsd":
        for case in KILLED_VMM:
            bench.report.skipped(bench.case_name(case.name), "virtiofsd ends with its VMM")
        return
    (bench.share / NewVmm.name).mkdir()
    (bench.share / "victims").mkdir()
    with bench.daemon(QUEUES_MAX) as daemon:
        # The first makes the daemon start what it starts lazily; leaks show after the second.
        settled = None
        begin = time.monotonic()
        for victim in range(2):
            problem = kill_in_the_middle(bench, f"victim{victim}")
            if not problem and not daemon.running():
                problem = f"the daemon ended with status {daemon.child.process.returncode}"
            if problem:
                bench.report.failed(bench.case_name(KilledVmm.name), problem)
                return
            if settled is None:
                time.sleep(1)
                settled = Snapshot(daemon)
        leaked = leaks(daemon, settled)
        took = time.monotonic() - begin
        if leaked:
            bench.report.failed(bench.case_name(KilledVmm.name), f"left behind: {leaked}", took)
        else:
            bench.report.passed(bench.case_name(KilledVmm.name), took)
        case = NewVmm()
        with bench.vm(f"mount_share share /mnt; run_case {case.name}", queues=QUEUES_MAX,
                      smp=2) as vm:
            run_cases(bench, vm, [case], BOOT_TIMEOUT_S)
        terminate_in_the_middle(bench, daemon)


def busy_job(name):
    folder = f"/mnt/victims/{name}"
    return f"mount_share share /mnt; mkdir {folder}; cd {folder}; sh -e /rig/case busy"


def wait_until_busy(vm):
    """Why the guest does not do I/O, or '' once it does so."""
    try:
        for event in vm.events(BOOT_TIMEOUT_S):
            if event.word == "note" and event.text == "busy":
                return ""
    except VmError as error:
        return str(error)
    return "the guest ended instead of doing I/O"


def kill_in_the_middle(bench, name):
    with bench.vm(busy_job(name), queues=2, smp=2, name=name) as vm:
        problem = wait_until_busy(vm)
        if not problem:
            time.sleep(1)
            vm.kill()
        return problem


def terminate_in_the_middle(bench, daemon):
    """SIGTERM while a guest does I/O: what is in flight is answered, and the daemon ends with 0."""
    name = bench.case_name(TerminatedDaemon.name)
    with bench.vm(busy_job("last"), queues=2, smp=2, name="last") as vm:
        problem = wait_until_busy(vm)
        if problem:
            bench.report.failed(name, problem)
            return
        time.sleep(0.5)
        status, seconds = daemon.terminate(harness.TERMINATE_S)
        vm.kill()
    if status == 0:
        bench.report.passed(name, seconds)
    else:
        bench.report.failed(name, f"SIGTERM ended it with status {status}", seconds)


def hot_plug(bench, _only):
    """Memory plugged into the guest while requests are in flight."""
    if bench.options.daemon == "virtiofsd":
        # It would stop: its memory table may not change while it runs.
        bench.report.skipped(bench.case_name(HotPlug.name), "a case for dpfs")
        return
    vm_box = []
    case = HotPlug(vm_box)
    folder = bench.share / case.name
    folder.mkdir()
    case.prepare(folder)
    with bench.daemon(2) as daemon:
        idle = Snapshot(daemon)
        with bench.vm(f"mount_share share /mnt; run_case {case.name}; umount /mnt", queues=2,
                      smp=2, memory_mib=MEMORY_MIB, memory_max_mib=2048) as vm:
            vm_box.append(vm)
            run_cases(bench, vm, [case], BOOT_TIMEOUT_S)
        check_daemon(bench, daemon, idle)
