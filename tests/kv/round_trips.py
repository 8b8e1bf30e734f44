# SPDX-License-Identifier: Apache-2.0
"""How often the daemon waits for the store: counted on its way to a Valkey server."""
import os
import select
import socket
import threading

from clients import Skip, check

import fetch
import valkey

# What the daemon sends before the answer to what it has sent before goes on was not made of it.
HOLD_S = 0.05
FILE_BYTES = 4096


class Counted:
    """A relay to one server that holds each answer for a moment. Counts round trips: an answer was
    let through, and something was sent after it."""

    def __init__(self, address, port):
        self.server = (address, port)
        self.trips = 0
        self._answered = True
        self._mutex = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self):
        while not self._ending.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            client, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client):
        with client, socket.create_connection(self.server) as server:
            while not self._ending.is_set():
                readable, _, _ = select.select([client, server], [], [], 0.1)
                if client in readable:
                    data = client.recv(1 << 16)
                    if not data:
                        return
                    with self._mutex:
                        self.trips += self._answered
                        self._answered = False
                    server.sendall(data)
                elif server in readable:
                    # First what is still to come from the client: it is of the same trip.
                    if select.select([client], [], [], HOLD_S)[0]:
                        continue
                    data = server.recv(1 << 20)
                    if not data:
                        return
                    with self._mutex:
                        self._answered = True
                    client.sendall(data)

    def of(self, work):
        """How many round trips the work takes."""
        before = self.trips
        work()
        return self.trips - before


def read_whole(path):
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 2 * FILE_BYTES)
    finally:
        os.close(file)


def small_files(bench):
    """A file of 4 KiB that nobody has looked at is found, opened and read in two round trips, one
    where its name is known; made anew in few."""
    program = valkey.find_program()
    if program is None:
        try:
            program = fetch.ensure().valkey()
        except fetch.FetchError as error:
            raise Skip(f"there is no Valkey here: {error}") from None
    server = bench.enter(valkey.Valkey(program)).servers[0]
    relay = bench.enter(Counted(server.address, server.port))
    # No beats of the owner's meanwhile.
    url = f"kv+valkey://127.0.0.1:{relay.port}/main?lease=3600"
    first = bench.mount(url)
    content = os.urandom(FILE_BYTES)
    for number in range(4):
        (first.path / f"file{number}").write_bytes(content)
    first.end()

    mounted = bench.mount(url, "again", options=())
    read_whole(mounted.path / "file0")  # the directory itself is known now
    server.call("CONFIG", "RESETSTAT")
    found = relay.of(lambda: check(read_whole(mounted.path / "file1") == content, "other bytes"))
    commands = [line.partition(":calls=")[0].removeprefix("cmdstat_") + " "
                + line.partition("=")[2].partition(",")[0]
                for line in server.call("INFO", "commandstats").splitlines()
                if line.startswith("cmdstat_") and "config" not in line and "info" not in line]
    bench.report.line("note", f"lookup, open, read: {found} round trips ({', '.join(commands)})")

    os.listdir(mounted.path)
    os.stat(mounted.path / "file2")
    known = relay.of(lambda: read_whole(mounted.path / "file2"))
    bench.report.line("note", f"open, read of a file that was looked up: {known}")
    made = relay.of(lambda: (mounted.path / "new").write_bytes(content))
    bench.report.line("note", f"create, write, close: {made}")
    check(found <= 2, f"lookup, open and read take {found} round trips, not two")
    check(known <= 1, f"open and read take {known} round trips, not one")


QUICK = (small_files,)
ALL = QUICK
