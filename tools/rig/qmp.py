# SPDX-License-Identifier: Apache-2.0
"""A client of QEMU's machine protocol: one command at a time."""
import json
import socket
import time


class QmpError(Exception):
    """QEMU refused a command, or is not there."""


class Qmp:
    def __init__(self, path, timeout_s=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise QmpError(f"no QEMU behind {path}: {error}") from error
                time.sleep(0.02)
        self.file = self.socket.makefile("r")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        self.socket.sendall((json.dumps(request) + "\n").encode())
        for line in self.file:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"{name}: {answer['error']['desc']}")
        raise QmpError(f"{name}: QEMU closed the connection")

    def close(self):
        self.file.close()
        self.socket.close()
