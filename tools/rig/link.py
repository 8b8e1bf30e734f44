# SPDX-License-Identifier: Apache-2.0
"""A network cable that can be cut: one end in a network namespace, the other on the host."""
import itertools
import os
import subprocess


class LinkError(Exception):
    """Why there is no such cable here."""


def run(*words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=30)
    except FileNotFoundError:
        raise LinkError(f"no program {words[0]}; it is in Debian's package iproute2") from None
    if done.returncode != 0:
        raise LinkError(f"{' '.join(words)}: {done.stderr.strip()}")


def ip(*words):
    run("ip", *words)


class Link:
    """From `host_address` here to `address` in a namespace. Needs root."""

    _numbers = itertools.count(os.getpid() * 4)

    def __init__(self):
        self.name = ""
        # 198.18.0.0/15 is nobody's: it is for measuring (RFC 2544).
        for number in itertools.islice(self._numbers, 64):
            number %= 0x8000
            base = f"198.18.{number >> 6 & 0xff}.{(number & 0x3f) * 4}"
            try:
                self._make(f"dpfs{number}", base)
                return
            except LinkError as error:
                # Another test's. The next number is tried.
                if "exists" not in str(error):
                    raise
        raise LinkError("64 network namespaces of tests exist already: see 'ip netns'")

    def _make(self, name, base):
        network, last = base.rsplit(".", 1)
        self.host_address = f"{network}.{int(last) + 1}"
        self.address = f"{network}.{int(last) + 2}"
        ip("netns", "add", name)
        self.name = name
        try:
            ip("link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}n", "netns", name)
            ip("address", "add", f"{self.host_address}/30", "dev", f"{name}h")
            ip("link", "set", f"{name}h", "up")
            ip("-n", name, "address", "add", f"{self.address}/30", "dev", f"{name}n")
            self.mend()
            ip("-n", name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def command(self, command):
        """The command, run on the other side. Keeps the process id: nsenter executes it."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def cut(self):
        """On the other side: here packets are lost without an error, as on a long way."""
        ip("-n", self.name, "link", "set", f"{self.name}n", "down")

    def mend(self):
        ip("-n", self.name, "link", "set", f"{self.name}n", "up")

    def slow_down(self, rate):
        """Both ways; None ends that. No queue that would be longer than 2 s."""
        for where, end in ((["-n", self.name], "n"), ([], "h")):
            device = ["dev", f"{self.name}{end}", "root"]
            if rate is None:
                run("tc", *where, "qdisc", "delete", *device)
            else:
                run("tc", *where, "qdisc", "replace", *device, "tbf", "rate", rate, "burst",
                    "32kb", "latency", "2s")

    def close(self):
        """The cable goes with the namespace, as soon as nobody runs there."""
        if self.name:
            subprocess.run(["ip", "link", "delete", f"{self.name}h"], capture_output=True,
                           check=False)
            subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)
            self.name = ""
