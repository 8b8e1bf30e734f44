# SPDX-License-Identifier: Apache-2.0
"""Our NFS client alone: against a scripted server that answers from memory, as fast as it can."""
import re

import host
from stage import OURS, EvalError

import measure
from child import Child

DEPTHS = (1, 8, 32, 128)
SEQUENTIAL = "1 MiB sequential reads"
START_TIMEOUT_S = 20
# Of one core of the daemon, at depth 32, and sequentially: what the project wants.
CPU_US_MAX = 1.5
RATE_MIN = 400_000
BYTES_PER_S_MIN = 2e9


class Responder:
    """nfs_responder, with a file of prepared bytes."""

    def __init__(self, program, file_bytes):
        command = [str(program), "--canned", "--file", f"{host.DATA_FILE}={file_bytes}"]
        self.child = Child(command, "nfs_responder")
        _, line = self.child.lines.get(timeout=START_TIMEOUT_S)
        found = re.search(r"listening on (\S+) port (\d+)", line or "")
        if not found:
            self.child.close()
            raise EvalError(f"nfs_responder does not start: {line}")
        self.url = f"nfs://{found[1]}:{found[2]}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.close()


def run(stage):
    """results[who][depth]: what each round found; SEQUENTIAL has but one depth."""
    if not stage.serves_nfs():
        raise EvalError("this dpfs has no nfs:// yet")
    effort = stage.effort
    size = 1 << 30
    responder = stage.programs.parent / "bench/nfs_responder"
    with Responder(responder, size) as server:
        # Three who poll want three processors: the kernel does with two what it can.
        bench = host.make_bench(stage, server.child.pid, file_size=size, cores=None)
        ours = measure.Peer(OURS, host.serving(stage, server.url), "")
        runs = {OURS: lambda depth: host.run_bench(bench, ours, "randread", depth, wait="poll"),
                host.FLOOR: lambda depth: host.run_floor(stage, depth)}
        results = host.interleaved(runs, DEPTHS, effort.rounds)
        results[SEQUENTIAL] = {8: [host.run_bench(bench, ours, "read", 8, block_size=1 << 20,
                                                   wait="poll")
                                   for _ in range(effort.rounds)]}
    return results
