# SPDX-License-Identifier: Apache-2.0
"""dpfs where virtiofsd was: its options compared with virtiofsd's own, and a guest with devices of
daemons that were started as libvirt starts them and as virtiofsd's manual does."""
import contextlib
import re
import socket
import subprocess

import cases
import daemon as daemons
from harness import run_cases
from vm import Device

BOOT_TIMEOUT_S = 180
END_TIMEOUT_S = 20
# Who the guest's root is on the host.
TRANSLATED_ID = 1000
# Values for options that have one.
VALUES = {
    "--shared-dir": "/srv", "--tag": "share", "--socket": "/tmp/s", "--socket-path": "/tmp/s",
    "--socket-group": "root", "--fd": "3", "--thread-pool-size": "4",
    "--xattrmap": ":map::user.virtiofs.:", "--sandbox": "chroot", "--seccomp": "log",
    "--inode-file-handles": "prefer", "--cache": "metadata", "--modcaps": "+sys_admin:-chown",
    "--log-level": "off", "--rlimit-nofile": "0", "-o": "xattr,cache=none",
    "--uid-map": ":0:100000:65536:", "--gid-map": ":0:100000:65536:",
    "--translate-uid": "squash-guest:0:1000:10", "--translate-gid": "forbid-guest:5:5",
    "--migration-mode": "find-paths", "--migration-on-error": "abort",
}
# Refused, with a reason.
REFUSED = {"--migration-mode", "--migration-on-error", "--migration-verify-handles",
           "--migration-confirm-paths"}


class Options(cases.Case):
    """Every option that virtiofsd's own --help names is known to ours."""
    name = "options_of_virtiofsd"


class InPlace(cases.Case):
    name = "in_place"

    def verify(self, folder):
        for tag in FORMS:
            share = folder.parent / tag
            cases.check(cases.check_sums(share) == 1, f"{tag} lacks its file")
            owner = (share / "folder/data").stat().st_uid
            expected = TRANSLATED_ID if tag == "translated" else 0
            cases.check(owner == expected, f"{tag}: the host's owner is {owner}, not {expected}")


class EndsWithVmm(cases.Case):
    name = "ends_with_its_vmm"


IN_PLACE = (Options, InPlace, EndsWithVmm)


# Name of the device, and the command line behind "dpfs virtiofsd"; {fd} where the socket is passed.
FORMS = {
    "libvirt_old": ["--fd={fd}", "-o", "source={share},cache=always,xattr,no_posix_lock,no_flock"],
    "libvirt_new": ["--fd={fd}", "--shared-dir", "{share}", "--cache", "auto", "--xattr",
                    "--sandbox", "namespace", "--thread-pool-size", "8", "--rlimit-nofile",
                    "10000"],
    "documented": ["--socket-path={socket}", "--shared-dir", "{share}", "--announce-submounts",
                   "--inode-file-handles=mandatory"],
    "chroot": ["--socket-path={socket}", "--shared-dir", "{share}", "--sandbox", "chroot"],
    "none": ["--socket-path={socket}", "--shared-dir={share}", "--tag", "none", "--sandbox",
             "none", "--seccomp", "none", "--cache", "never"],
    "translated": ["--socket-path={socket}", "--shared-dir", "{share}",
                   "--translate-uid", f"map:0:{TRANSLATED_ID}:1",
                   "--translate-gid", f"map:0:{TRANSLATED_ID}:1"],
}


def in_place(bench, _only):
    """In place of virtiofsd: its options, and devices as libvirt and its manual start them."""
    if bench.options.daemon == "virtiofsd":
        for case in IN_PLACE:
            bench.report.skipped(bench.case_name(case.name), "it is virtiofsd")
        return
    compare_options(bench)
    case = InPlace()
    with contextlib.ExitStack() as stack:
        running = {tag: stack.enter_context(start(bench, tag)) for tag in FORMS}
        devices = [Device(str(socket_of(bench, tag)), tag, queue_size=1024) for tag in FORMS]
        with bench.vm(f"run_case {case.name}", queues=1, smp=1, devices=devices) as vm:
            run_cases(bench, vm, [case], BOOT_TIMEOUT_S)
        problems = [f"{tag}: {problem}" for tag, daemon in running.items()
                    if (problem := how_it_ended(daemon))]
    name = bench.case_name(EndsWithVmm.name)
    if problems:
        bench.report.failed(name, "; ".join(problems))
    else:
        bench.report.passed(name)


def how_it_ended(daemon):
    """'' when it ended by itself, well, as its VMM did."""
    status = daemon.child.wait(END_TIMEOUT_S)
    if status is None:
        return "it did not end with its VMM"
    return "" if status == 0 else f"it ended with status {status}"


def socket_of(bench, tag):
    return bench.folder / f"{tag}.socket"


def start(bench, tag):
    share = bench.share / tag
    share.mkdir()
    (share / "from_host").write_text(f"{tag}\n")
    path = socket_of(bench, tag)
    listening = None
    if any("{fd}" in word for word in FORMS[tag]):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(1)
    if tag == "translated":
        # What the guest's root is here must be allowed to work in it.
        share.chmod(0o777)
    words = {"share": share, "socket": path, "fd": listening.fileno() if listening else ""}
    command = [str(bench.options.dpfs), "virtiofsd"] + [word.format(**words) for word in FORMS[tag]]
    try:
        return daemons.Daemon(command, path, bench.daemon_line,
                              pass_fds=[listening.fileno()] if listening else [])
    finally:
        if listening:
            listening.close()


def compare_options(bench):
    name = bench.case_name(Options.name)
    said = subprocess.run(bench.kit.virtiofsd("--help"), capture_output=True, text=True,
                          timeout=60).stdout
    # "      --shared-dir <SHARED_DIR>", "  -o <COMPAT_OPTIONS>", "  -h, --help"
    options = re.findall(r"^ +(?:-\w, )?(--?[a-z][a-z0-9-]*)(?:[ =]<|$)", said, re.MULTILINE)
    problems = [problem for option in options if (problem := try_option(bench, option))]
    if len(options) < 30:
        problems.append(f"virtiofsd's --help names only {len(options)} options")
    bench.report.line("note", f"{len(options)} options of virtiofsd tried")
    if problems:
        bench.report.failed(name, "; ".join(problems))
    else:
        bench.report.passed(name)


def try_option(bench, option):
    """Why our command line does not do with it what it should, or ''."""
    words = [option] + ([VALUES[option]] if option in VALUES else [])
    # Asks for a directory that does not exist, so that nothing is served.
    needed = ["--shared-dir", "/none/such", "--socket-path", str(bench.folder / "none")]
    if option in {"--socket-path", "--socket", "--fd"}:
        needed = needed[:2]
    if option == "--shared-dir":
        needed, words = needed[2:], ["--shared-dir", "/none/such"]
    done = subprocess.run([str(bench.options.dpfs), "virtiofsd", *needed, *words],
                          capture_output=True, text=True, timeout=60)
    if option in {"--help", "--version", "--print-capabilities"}:
        return "" if done.returncode == 0 else f"{option} ended with {done.returncode}"
    if option in REFUSED:
        refused = done.returncode == 2 and "not supported" in done.stderr
        return "" if refused else f"{option} was not refused"
    # 1: understood, and then it found no directory. 2: not understood.
    return "" if done.returncode == 1 else f"{option}: {done.stderr.strip().splitlines()[0]}"
