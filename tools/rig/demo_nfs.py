#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows a tenant whose files are on an NFS server, and what it notices when that one is restarted.

  tools/rig/demo_nfs.py --dpfs build/release/dpfs
  tools/rig/demo_nfs.py --dpfs build/release/dpfs --verbose    with what QEMU and dpfs log

NFS-Ganesha serves a disk of its own on loopback, dpfs has the NFS client, and a stock Linux VM
mounts the device; there is no NFS in it. Needs root, to mount that disk. Everything it starts ends
with it. Exit status 0 when what was written on one side was read the same on the other, and a
verified run of fio went on over two restarts of the server without an error.
"""
import re
import sys
import time

import demo
from disk import DiskError
from ganesha import Ganesha, GaneshaError

# How long fio works before each fault.
CALM_S = 3


class NfsDemo(demo.Demo):
    title = "1. The operator has an NFS server, and dpfs serves its export"
    jobs = (demo.JOB, demo.JOB.with_name("demo_nfs.sh"))
    steps = 8
    errors = (DiskError, GaneshaError)

    def run(self, kit):
        with Ganesha(kit) as server:
            self.server = server
            self.share = server.exported
            self.url = server.url()
            return super().run(kit)

    def introduce(self):
        self.screen.output(f"NFS-Ganesha, process {self.server.child.pid}, exports {self.share}")

    def answer_restart(self, how):
        """In the middle of the tenant's work. It answers at once, so that the tenant waits for
        nothing but its files."""
        time.sleep(CALM_S)
        if how == "kill":
            self.screen.command("host", f"kill -9 {self.server.child.pid}")
            self.server.kill()
        else:
            self.screen.command("host", f"kill {self.server.child.pid}")
            self.server.stop()
        time.sleep(1)
        self.server.start()
        self.screen.command("host", f"ganesha.nfsd ...    # process {self.server.child.pid}, with "
                                    "a grace period of 5 s")
        return "thanks"

    def answer_fio(self, status, *summary):
        """What came of the tenant's run of fio."""
        text = " ".join(summary)
        clean = status == "0" and re.search(r"err= ?0\b", text)
        self.screen.verdict(bool(clean), "fio ended without an error, every block verified"
                            if clean else f"NOT TRUE: fio ended with status {status}: {text}")
        self.good = self.good and bool(clean)
        return "thanks"


if __name__ == "__main__":
    sys.exit(demo.main(NfsDemo, __doc__))
