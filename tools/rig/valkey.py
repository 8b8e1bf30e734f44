#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real Valkey servers for tests: one alone, or a cluster.

  tools/rig/valkey.py                          one server, until it is told to end; prints its URL
  tools/rig/valkey.py --cluster                3 primaries (servers 0 to 2), 3 replicas (3 to 5)
  tools/rig/valkey.py --append always          with an append-only file, synchronized always
  tools/rig/valkey.py --set maxmemory=16mb     any setting of the server's
  tools/rig/valkey.py --cluster --namespace    in a network namespace, behind a cable one can cut
  tools/rig/valkey.py --no-fetch               with what is there: the kit, or an installed
                                               valkey-server or redis-server; else status 3

Needs root with --namespace only. Everything it makes lies in one temporary folder and goes with it.
While it runs it takes commands from standard input, one a line, and answers each with one line that
begins with 'ok' or 'error':

  kill N, stop N, start N, pause N, resume N   the process of server N
  failover N                                   replica N becomes its shard's primary, in agreement
  reshard FIRST-LAST FROM TO                   moves slots between primaries, with their keys
  migrating SLOT FROM TO, migrated SLOT FROM TO    the beginning of that, and all the rest
  add                                          one more primary, without slots
  wait                                         until the cluster is whole: each slot and replica
  primaries                                    which servers are, now
  call N WORD...                               any command to server N
  cut, mend                                    the cable
  log N, quit
"""
import argparse
import os
import pathlib
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time

import fetch
import recipe
from child import Child, exit_on_signals
from kit import Kit
from link import Link, LinkError
from resp import Resp, RespError, fields

START_TIMEOUT_S = 20
CLUSTER_TIMEOUT_S = 60
SLOTS = 16384


class ValkeyError(Exception):
    """The servers do not do what they should."""


def find_program():
    """What starts a server where nothing may be fetched, as a command; None: there is nothing."""
    folder = recipe.kit_folder()
    if (folder / "manifest.json").is_file():
        return Kit(folder).valkey()
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return [path]
    return None


def free_ports(address, count):
    """Different ones: all are taken before any is given back."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def holds(part, slot):
    """Of a node's slots as CLUSTER NODES lists them: "5", "0-5460", or one on its way ("[5->-...")."""
    if part.startswith("["):
        return False
    first, _, last = part.partition("-")
    return int(first) <= slot <= int(last or first)


class Server:
    """One process. Its folder has its files and its log."""

    def __init__(self, command, folder, *, address, port, bus_port, settings, password, link):
        self.address, self.port, self.bus_port = address, port, bus_port
        self.password = password
        self.folder = folder
        self.log_path = folder / "log"
        self.child = None
        folder.mkdir()
        words = {"port": port, "bind": address, "dir": folder, "logfile": self.log_path,
                 "daemonize": "no", "save": "", "protected-mode": "no"}
        if password:
            words |= {"requirepass": password, "masterauth": password}
        words |= settings
        arguments = [word for name, value in words.items()
                     for word in (f"--{name}", *([""] if value == "" else str(value).split()))]
        self._command = [*command, *arguments]
        if link:
            self._command = link.command(self._command)

    def start(self):
        self.child = Child(self._command, "valkey")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.call("PING")
                return
            except (OSError, RespError):
                if not self.child.running() or time.monotonic() > deadline:
                    raise ValkeyError(f"a server does not start: {self.last_words()}") from None
            time.sleep(0.01)

    def call(self, *words, timeout_s=5):
        with Resp(self.address, self.port, self.password, timeout_s) as connection:
            return connection.call(*words)

    def kill(self):
        if self.child:
            self.resume()
            self.child.close()

    def stop(self):
        """As a service manager does."""
        self.resume()
        self.child.terminate(15)
        self.child.close()

    def pause(self):
        """It takes connections and bytes, for the kernel does, and answers nothing."""
        self.child.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self):
        if self.running():
            self.child.process.send_signal(signal.SIGCONT)

    def running(self):
        return self.child is not None and self.child.running()

    def last_words(self):
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return " / ".join(text.splitlines()[-4:]) or "nothing in its log"


class Valkey:
    """The servers, running.

    primaries, replicas    of a cluster (replicas of each primary); 0 primaries: one server alone
    settings               the servers' own, by name
    namespace              they run in a network namespace; cut() and mend() work
    """

    def __init__(self, command, *, primaries=0, replicas=1, settings=None, password="",
                 namespace=False, node_timeout_ms=2000):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dpfs-valkey-"))
        self.servers = []
        self.link = None
        self.clustered = primaries > 0
        self._command, self._password = command, password
        self._settings = dict(settings or {})
        if self.clustered:
            self._settings |= {"cluster-enabled": "yes", "cluster-node-timeout": node_timeout_ms,
                               "cluster-replica-validity-factor": 0, "repl-diskless-sync-delay": 0}
        try:
            if namespace:
                self.link = Link()
            self.address = self.link.address if self.link else "127.0.0.1"
            for _ in range(primaries * (1 + replicas) if self.clustered else 1):
                self._make()
            if self.clustered:
                self._join(primaries)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def addresses(self):
        return ",".join(f"{server.address}:{server.port}" for server in self.servers)

    def url(self, partition="main"):
        """What dpfs is given."""
        return f"kv+valkey://{self.addresses()}/{partition}"

    def _make(self):
        number = len(self.servers)
        # In a namespace of our own all ports are free.
        port, bus_port = ((7000 + number, 17000 + number) if self.link
                          else free_ports(self.address, 2))
        settings = dict(self._settings)
        if self.clustered:
            settings["cluster-port"] = bus_port
        server = Server(self._command, self.folder / str(number), address=self.address, port=port,
                        bus_port=bus_port, settings=settings, password=self._password,
                        link=self.link)
        self.servers.append(server)
        server.start()
        return server

    def _join(self, primaries):
        first = self.servers[0]
        for number, server in enumerate(self.servers):
            server.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                server.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // primaries,
                            SLOTS * (number + 1) // primaries - 1)
        for server in self.servers[1:]:
            self._meet(server, first)
        self._until(lambda: all(len(self._nodes(server)) == len(self.servers)
                                for server in self.servers), "the servers know each other")
        for number, server in enumerate(self.servers[primaries:]):
            server.call("CLUSTER", "REPLICATE", self._id(self.servers[number % primaries]))
        self.wait()

    @staticmethod
    def _meet(server, other):
        server.call("CLUSTER", "MEET", other.address, other.port, other.bus_port)

    @staticmethod
    def _id(server):
        return server.call("CLUSTER", "MYID")

    @staticmethod
    def _nodes(server):
        """Of those that have shaken hands: id, address, flags..."""
        lines = server.call("CLUSTER", "NODES").splitlines()
        return [line.split() for line in lines if "handshake" not in line]

    @staticmethod
    def _until(true, what):
        deadline = time.monotonic() + CLUSTER_TIMEOUT_S
        while True:
            try:
                if true():
                    return
            except (OSError, RespError):
                pass
            if time.monotonic() > deadline:
                raise ValkeyError(f"it took too long until {what}")
            time.sleep(0.02)

    def _whole(self):
        running = [server for server in self.servers if server.running()]
        for server in running:
            if fields(server.call("CLUSTER", "INFO"))["cluster_state"] != "ok":
                return False
            replication = fields(server.call("INFO", "replication"))
            if replication["role"] == "slave" and replication["master_link_status"] != "up":
                return False
        # All tell the same of who is whose primary.
        views = [sorted((words[0], "master" in words[2], words[3], *words[8:])
                        for words in self._nodes(server) if "fail" not in words[2])
                 for server in running]
        return all(view == views[0] for view in views)

    def wait(self):
        self._until(self._whole, "the cluster is whole")

    def primaries(self):
        found = []
        for number, server in enumerate(self.servers):
            try:
                if fields(server.call("INFO", "replication", timeout_s=1))["role"] == "master":
                    found.append(number)
            except (OSError, RespError):
                pass
        return found

    def primary_of(self, slot):
        """The number of the server that answers for a slot; None: there is none now."""
        for number, server in enumerate(self.servers):
            try:
                nodes = self._nodes(server)
            except (OSError, RespError):
                continue
            own = next(words for words in nodes if "myself" in words[2])
            if "master" in own[2] and any(holds(part, slot) for part in own[8:]):
                return number
        return None

    def wait_for_successor(self, slot, former):
        """The server that answers for a slot when the one that did is gone."""
        self._until(lambda: self.primary_of(slot) not in (None, former),
                    f"slot {slot} has another primary")
        return self.primary_of(slot)

    def failover(self, number):
        server = self.servers[number]
        server.call("CLUSTER", "FAILOVER")
        self._until(lambda: fields(server.call("INFO", "replication"))["role"] == "master",
                    f"server {number} is a primary")

    def add(self):
        server = self._make()
        self._meet(server, self.servers[0])
        running = [each for each in self.servers if each.running()]
        self._until(lambda: all(len(self._nodes(each)) >= len(running) for each in running),
                    "the new server is known")
        return len(self.servers) - 1

    def migrating(self, slot, source, target):
        source, target = self.servers[source], self.servers[target]
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(target))

    def migrated(self, slot, source, target):
        source, target = self.servers[source], self.servers[target]
        auth = ["AUTH", self._password] if self._password else []
        with Resp(source.address, source.port, self._password, 30) as connection:
            while keys := connection.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
                keys = [key.encode(errors="surrogateescape") for key in keys]
                connection.call("MIGRATE", target.address, target.port, "", 0, 10000, *auth,
                                "KEYS", *keys)
        owner = self._id(target)
        others = [server for server in self.servers if server not in (source, target)]
        for server in (target, source, *others):
            try:
                server.call("CLUSTER", "SETSLOT", slot, "NODE", owner)
            except (OSError, RespError):
                # A replica, or one that is down: it hears of it from the others.
                if server in (source, target):
                    raise

    def reshard(self, first, last, source, target):
        for slot in range(first, last + 1):
            self.migrating(slot, source, target)
            self.migrated(slot, source, target)

    def close(self):
        for server in self.servers:
            server.kill()
        if self.link:
            self.link.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def printable(reply):
    if isinstance(reply, list):
        return " ".join(printable(each) for each in reply)
    return str(reply).encode(errors="backslashreplace").decode().replace("\r\n", " ").replace(
        "\n", " ")


def execute(valkey, words):
    """What the command says, or None when there is no such command."""
    word, arguments = words[0], words[1:]
    if word in {"kill", "stop", "start", "pause", "resume"}:
        return getattr(valkey.servers[int(arguments[0])], word)() or ""
    if word == "call":
        return printable(valkey.servers[int(arguments[0])].call(*arguments[1:]))
    if word == "log":
        return str(valkey.servers[int(arguments[0])].log_path)
    if word == "reshard":
        first, _, last = arguments[0].partition("-")
        return valkey.reshard(int(first), int(last or first), *map(int, arguments[1:])) or ""
    if word in {"failover", "migrating", "migrated"}:
        return getattr(valkey, word)(*map(int, arguments)) or ""
    if word == "add":
        return str(valkey.add())
    if word == "wait":
        return valkey.wait() or ""
    if word == "primaries":
        return " ".join(map(str, valkey.primaries()))
    if word in {"cut", "mend"}:
        if not valkey.link:
            raise ValkeyError("only with --namespace is there a cable")
        return getattr(valkey.link, word)() or ""
    return None


def serve_commands(valkey):
    """Until end of input or 'quit'."""
    for line in sys.stdin:
        words = shlex.split(line)
        if not words:
            continue
        if words[0] == "quit":
            return
        try:
            said = execute(valkey, words)
            print("error no such command: see --help" if said is None else f"ok {said}".rstrip(),
                  flush=True)
        except (ValkeyError, RespError, LinkError, OSError, ValueError, IndexError,
                TypeError) as error:
            print(f"error {error}", flush=True)


def setting(text):
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("is NAME=VALUE")
    return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--primaries", type=int, default=3, help="of the cluster (3)")
    parser.add_argument("--replicas", type=int, default=1, help="of each primary (1)")
    parser.add_argument("--append", choices=("always", "everysec", "no"),
                        help="an append-only file, and when it is synchronized")
    parser.add_argument("--password", default="")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--node-timeout", type=int, default=2000, metavar="MS",
                        help="after which a server counts as gone (2000)")
    parser.add_argument("--namespace", action="store_true", help="in one, behind a cable")
    parser.add_argument("--no-fetch", action="store_true", help="with what is there")
    options = parser.parse_args()
    exit_on_signals()
    settings = dict(options.set)
    if options.append:
        settings |= {"appendonly": "yes", "appendfsync": options.append}
    try:
        command = find_program() if options.no_fetch else fetch.ensure().valkey()
        if command is None:
            print("valkey: no server here: neither the kit (tools/rig/fetch.py) nor an installed "
                  "valkey-server or redis-server", file=sys.stderr)
            return 3
        with Valkey(command, primaries=options.primaries if options.cluster else 0,
                    replicas=options.replicas, settings=settings, password=options.password,
                    namespace=options.namespace, node_timeout_ms=options.node_timeout) as valkey:
            print(valkey.url(), flush=True)
            serve_commands(valkey)
            # Without a terminal or a pipe: until a signal comes.
            if not sys.stdin.isatty() and os.path.samefile("/dev/stdin", "/dev/null"):
                signal.pause()
    except (fetch.FetchError, ValkeyError, LinkError, RespError, OSError) as error:
        print(f"valkey: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
