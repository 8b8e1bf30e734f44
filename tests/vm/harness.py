# SPDX-License-Identifier: Apache-2.0
"""Runs cases: lays out the shared directory, starts the daemon, boots the guest, hears both out."""
import collections
import contextlib
import os
import pathlib
import shutil
import tempfile
import time

import daemon as daemons
from cases import CheckError
from vm import Device, Vm, VmError

HERE = pathlib.Path(__file__).resolve().parent
TAG = "share"
# An idle daemon has forgotten a VMM that went away after this long, even on a busy machine.
SETTLE_S = 10
TERMINATE_S = 15
# Workers for slow operations start when they are needed first, and stay.
LAZY_THREADS_MAX = 8


class Bench:
    """What a group of cases works with: a scratch folder with the shared directory and a socket."""

    def __init__(self, kit, report, options, name):
        self.kit = kit
        self.report = report
        self.options = options
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-test-"))
        self.share = self.folder / "share"
        self.share.mkdir()
        self.url = f"local:{self.share}"
        self.attributes = has_attributes(self.share)
        self.socket = self.folder / "socket"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def daemon(self, queues, extra=()):
        """The daemon with its socket listening. What it says is printed as it comes."""
        if self.options.daemon == "virtiofsd":
            command = daemons.virtiofsd_command(self.kit, socket_path=self.socket,
                                                folder=self.share)
        else:
            command = daemons.dpfs_command(self.options.dpfs, socket_path=self.socket, tag=TAG,
                                           url=self.url, queues=queues, extra=extra)
        with daemons.Daemon(command, self.socket, self.daemon_line) as daemon:
            yield daemon

    def daemon_line(self, text):
        # Counters come thirty lines at a time; check_daemon sums them up.
        if not daemons.COUNTER_LINE.search(text):
            self.report.line("daemon", text)

    def vm(self, job, *, queues, smp, queue_size=None, devices=None, **options):
        """A guest with the device. `job` has the functions of lib.sh and the cases' scripts."""
        devices = devices or [Device(str(self.socket), TAG, queues, queue_size)]
        scripts = self.scripts() | options.pop("files", {})
        variables = {
            "DAEMON_IS_ROOT": int(os.geteuid() == 0),
            "HAS_ATTRIBUTES": int(self.attributes),
            # Linux takes no more request queues than it has processors.
            "REQUEST_QUEUES": min(queues, smp),
        }
        exports = "".join(f"export {name}={value}\n" for name, value in variables.items())
        return Vm(self.kit, job=f"{exports}. /rig/lib.sh\n{job}", devices=devices, files=scripts,
                  accelerator=self.options.accelerator, smp=smp, **options)

    @staticmethod
    def scripts():
        """The guest's half of each case, by its path there."""
        return {f"rig/cases/{path.name}": path for path in (HERE / "guest").glob("*.sh")}

    def case_name(self, case):
        return f"{self.name}/{case}"


def has_attributes(folder):
    """Whether the file system below knows extended attributes of users; an old tmpfs does not."""
    try:
        os.setxattr(folder, "user.dpfs_test", b"")
        os.removexattr(folder, "user.dpfs_test")
        return True
    except OSError:
        return False


def run_cases(bench, vm, cases, timeout_s):
    """Drives a guest whose job calls run_case for each of `cases`; reports on every one of them."""
    by_name = {case.name: case for case in cases}
    current, reason, waiting = None, "", set(by_name)
    answer_errors = {}
    try:
        for event in vm.events(timeout_s):
            if event.word == "begin":
                current, reason = by_name[event.text], ""
            elif event.word == "ask":
                answer = ask(current, event.text, bench, answer_errors)
                vm.answer(answer)
            elif event.word in {"pass", "fail", "skip"}:
                name, took = event.text.split()
                waiting.discard(name)
                settle(bench, by_name[name], event.word, float(took),
                       answer_errors.get(name) or reason)
                current = None
            elif event.word == "note":
                bench.report.line("note", event.text)
            elif not event.word:
                if event.text.startswith("FAILED: ") or event.text.startswith("SKIPPED: "):
                    reason = event.text.partition(": ")[2]
                elif event.text.strip():
                    bench.report.line(vm.name, event.text)
        gone = "the guest ended before" if vm.exit_status is None else "the guest did not run it"
    except VmError as error:
        gone = str(error)
    for case in cases:
        if case.name in waiting:
            where = gone if case is not current else f"{gone}, in the middle of it"
            bench.report.failed(bench.case_name(case.name), where)


def ask(case, question, bench, errors):
    try:
        return case.answer(question, bench.share / case.name)
    except CheckError as error:
        errors[case.name] = f"host: {error}"
        return str(error).replace("\n", " ")


def settle(bench, case, word, took, reason):
    """The guest has said its word on a case; the host checks what only it can see."""
    name = bench.case_name(case.name)
    if word == "skip":
        bench.report.skipped(name, reason or "no reason given")
    elif word == "fail":
        bench.report.failed(name, reason or "a command failed", took)
    else:
        try:
            case.verify(bench.share / case.name)
        except (CheckError, OSError) as error:
            bench.report.failed(name, f"host: {error}", took)
            return
        bench.report.passed(name, took)


def boot_group(bench, cases, *, queues, smp, timeout_s, queue_size=None, extra=(), files=None):
    """One daemon and one boot for all `cases`, and afterwards the daemon's own check.

    `files`: what the guest needs besides the scripts, by its path there.
    """
    for case in cases:
        folder = bench.share / case.name
        folder.mkdir()
        case.prepare(folder)
    job = "".join(f"run_case {case.name}\n" for case in cases) + "umount /mnt"
    with bench.daemon(queues, extra) as daemon:
        idle = Snapshot(daemon)
        with bench.vm(job, queues=queues, queue_size=queue_size, smp=smp, files=files or {}) as vm:
            run_cases(bench, vm, cases, timeout_s)
        check_daemon(bench, daemon, idle)


class Snapshot:
    """What a daemon holds while no VMM is connected."""

    def __init__(self, daemon):
        self.descriptors = collections.Counter(daemon.descriptors())
        self.threads = daemon.threads()


def leaks(daemon, before, lazy_threads=0):
    """What the daemon, once settled, holds more than in `before`, as a sentence; '' for nothing.

    A daemon that served nobody before may have started its workers meanwhile: `lazy_threads`.
    """
    deadline = time.monotonic() + SETTLE_S
    while True:
        now = Snapshot(daemon)
        more = now.descriptors - before.descriptors
        threads = now.threads - before.threads - lazy_threads
        if (not more and threads <= 0) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    found = [f"{count} x {what}" for what, count in more.most_common(6)]
    if threads > 0:
        found.append(f"{threads} threads")
    return ", ".join(found)


def check_daemon(bench, daemon, idle):
    """After its VMM went away: nothing leaked, and it ends cleanly on SIGTERM."""
    name = bench.case_name("daemon")
    if bench.options.daemon == "virtiofsd":
        bench.report.skipped(name, "virtiofsd ends with its VMM")
        return
    if not daemon.running():
        bench.report.failed(name, f"it ended with status {daemon.child.process.returncode}")
        return
    leaked = leaks(daemon, idle, LAZY_THREADS_MAX)
    bench.report.line("note", f"daemon: {daemon.resident_mib():.1f} MiB resident, "
                              f"{daemon.processor_s():.2f} s of processor time")
    check_ended(bench, daemon, leaked)


def check_ended(bench, daemon, leaked=""):
    """It ends cleanly on SIGTERM."""
    name = bench.case_name("daemon")
    status, seconds = daemon.terminate(TERMINATE_S)
    counters = daemons.parse_counters(daemon.log)
    requests = sum(counter.requests for counter in counters)
    bench.report.line("note", f"device: {requests} requests of {len(counters)} kinds")
    if leaked:
        bench.report.failed(name, f"left after the VMM went away: {leaked}", seconds)
    elif not counters:
        bench.report.failed(name, "its log has no counters at the end", seconds)
    elif status != 0:
        bench.report.failed(name, f"SIGTERM ended it with status {status}", seconds)
    else:
        bench.report.passed(name, seconds)
