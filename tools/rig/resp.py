# SPDX-License-Identifier: Apache-2.0
"""A small client of Valkey and Redis servers: RESP2 over a socket, one command at a time."""
import socket


class RespError(Exception):
    """What the server answered instead."""


class Resp:
    """One connection. call() takes words and returns str, int, None or a list of them."""

    def __init__(self, address, port, password="", timeout_s=5):
        self.socket = socket.create_connection((address, port), timeout=timeout_s)
        self.file = self.socket.makefile("rb")
        if password:
            self.call("AUTH", password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, *words):
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded]
        self.socket.sendall(b"".join(parts))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, text = line[:1], line[1:-2].decode(errors="surrogateescape")
        if kind == b"+":
            return text
        if kind == b"-":
            raise RespError(text)
        if kind == b":":
            return int(text)
        if kind == b"$":
            if int(text) < 0:
                return None
            data = self.file.read(int(text) + 2)
            if len(data) != int(text) + 2:
                raise ConnectionError("the server closed the connection")
            return data[:-2].decode(errors="surrogateescape")
        if kind == b"*":
            return None if int(text) < 0 else [self._reply() for _ in range(int(text))]
        raise RespError(f"not RESP: {line!r}")


def fields(text):
    """What INFO and CLUSTER INFO say, as a dictionary."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
