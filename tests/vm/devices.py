# SPDX-License-Identifier: Apache-2.0
"""One daemon with several devices in one guest: each is a file system of its own."""
import contextlib

import cases
import daemon as daemons
from harness import Snapshot, check_daemon, run_cases
from vm import Device

BOOT_TIMEOUT_S = 120
TAGS = ("first", "second")


class TwoDevices(cases.Case):
    name = "two_devices"

    def verify(self, folder):
        for tag in TAGS:
            share = folder.parent / tag
            names = sorted(path.name for path in share.iterdir())
            cases.check(names == ["SHA256SUMS", "from_host", f"of_{tag}"], f"{tag} holds {names}")
            cases.check(cases.check_sums(share) == 1, f"{tag} lacks its file")


TWO_DEVICES = (TwoDevices,)


def two_devices(bench, _only):
    """Two devices of one daemon, each on a reactor of its own, in one guest."""
    case = TwoDevices()
    if bench.options.daemon == "virtiofsd":
        bench.report.skipped(bench.case_name(case.name), "virtiofsd has one device")
        return
    with serving(bench) as daemon:
        idle = Snapshot(daemon)
        devices = [Device(str(socket_of(bench, tag)), tag, 2) for tag in TAGS]
        with bench.vm(f"run_case {case.name}", queues=2, smp=2, devices=devices) as vm:
            run_cases(bench, vm, [case], BOOT_TIMEOUT_S)
        check_daemon(bench, daemon, idle)


def socket_of(bench, tag):
    return bench.folder / f"{tag}.socket"


@contextlib.contextmanager
def serving(bench):
    """The daemon, configured by a file."""
    text = "reactors = 2\n"
    for tag in TAGS:
        share = bench.share / tag
        share.mkdir()
        (share / "from_host").write_text(f"{tag}\n")
        text += (f'\n[[device]]\ntag = "{tag}"\nsocket = "{socket_of(bench, tag)}"\n'
                 f'url = "local:{share}"\n')
    config = bench.folder / "config.toml"
    config.write_text(text)
    command = [str(bench.options.dpfs), "serve", "--config", str(config)]
    with daemons.Daemon(command, socket_of(bench, TAGS[-1]), bench.daemon_line) as daemon:
        yield daemon
