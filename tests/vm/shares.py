# SPDX-License-Identifier: Apache-2.0
"""Options of a share, seen by a stock guest: owners, names of extended attributes, read-only."""
import contextlib
import os

import cases
import daemon as daemons
from harness import run_cases
from vm import Device

BOOT_TIMEOUT_S = 120
# By tag, as a configuration file has them.
OPTIONS = {
    "mapped": """
translate_uid = ["map:0:1000:100", "forbid-guest:500:1"]
translate_gid = ["map:0:2000:100"]
xattrmap = ":map::user.guest.:"
cache = "never"
""",
    "fixed": """
readonly = true
cache = "always"
""",
}


class ShareOptions(cases.Case):
    name = "share_options"

    def verify(self, folder):
        mapped = folder.parent / "mapped"
        made = (mapped / "made").stat()
        cases.check((made.st_uid, made.st_gid) == (1000, 2000),
                    f"what root made is {made.st_uid}:{made.st_gid}'s, not 1000:2000's")
        given = (mapped / "given").stat()
        cases.check((given.st_uid, given.st_gid) == (1007, 2008),
                    f"what was given to 7:8 is {given.st_uid}:{given.st_gid}'s, not 1007:2008's")
        value = os.getxattr(mapped / "made", "user.guest.user.colour")
        cases.check(value == b"green", f"the attribute is {value}")
        names = sorted(path.name for path in (folder.parent / "fixed").iterdir())
        cases.check(names == ["from_host"], f"the read-only share holds {names}")


SHARES = (ShareOptions,)


def shares(bench, _only):
    """Shares with other owners, other names of attributes, and one that is read-only."""
    case = ShareOptions()
    if bench.options.daemon == "virtiofsd":
        bench.report.skipped(bench.case_name(case.name), "options of dpfs")
        return
    with serving(bench):
        devices = [Device(str(socket_of(bench, tag)), tag, 1) for tag in OPTIONS]
        with bench.vm(f"run_case {case.name}", queues=1, smp=1, devices=devices) as vm:
            run_cases(bench, vm, [case], BOOT_TIMEOUT_S)


def socket_of(bench, tag):
    return bench.folder / f"{tag}.socket"


@contextlib.contextmanager
def serving(bench):
    """One daemon for all, configured by a file."""
    text = ""
    for tag, options in OPTIONS.items():
        share = bench.share / tag
        share.mkdir()
        (share / "from_host").write_text(f"{tag}\n")
        text += (f'\n[[device]]\ntag = "{tag}"\nsocket = "{socket_of(bench, tag)}"\n'
                 f'url = "local:{share}"\n{options}')
    with contextlib.suppress(PermissionError):  # not root: they stay ours
        os.chown(bench.share / "mapped", 1000, 2000)
        os.chown(bench.share / "mapped/from_host", 1005, 2006)
    config = bench.folder / "config.toml"
    config.write_text(text)
    command = [str(bench.options.dpfs), "serve", "--config", str(config)]
    with daemons.Daemon(command, socket_of(bench, list(OPTIONS)[-1]), bench.daemon_line) as daemon:
        yield daemon
