# SPDX-License-Identifier: Apache-2.0
"""What one more idle file system takes: one daemon, one database, and tenants that have mounted, made
a file and do nothing any more."""
import pathlib
import re
import time

import kv_subjects as subjects
from kv_stage import in_turn
from stage import say

import daemon
from child import Child

ALONE, MANY = "one", "many"
NULLS = "null devices"
START_TIMEOUT_S = 60
SETTLE_S = 1.0


def configuration(sockets, urls):
    tables = [f'[[device]]\ntag = "t{number}"\nsocket = "{sockets}/s{number}"\nurl = "{url}"\n'
              for number, url in enumerate(urls)]
    return "\n".join(tables)


def urls_of(kind, folder, count):
    if kind == NULLS:
        return ["null:"] * count
    (folder / "database").mkdir()
    return [f"kv+rocksdb:{folder / 'database'}?fs=f{number}&create" for number in range(count)]


def run(stage):
    """results[kind][ALONE or MANY]: resident MiB of each round: private, and with shared pages; and
    how many there were."""
    counts = {ALONE: 1, MANY: 1 + stage.effort.idle}
    results = {"count": stage.effort.idle}
    for round_number in range(min(stage.effort.rounds, 3)):
        for kind in in_turn([NULLS, subjects.ROCKSDB], round_number):
            for which, count in counts.items():
                folder = stage.storage / f"idle-{round_number}-{which}-{kind.split()[0][:4]}"
                folder.mkdir()
                found = resident(stage, folder, urls_of(kind, folder, count))
                results.setdefault(kind, {}).setdefault(which, []).append(found)
    say("memory is done")
    return results


def resident(stage, folder, urls):
    config = folder / "serve.toml"
    config.write_text(configuration(folder, urls))
    command = [str(stage.dpfs), "serve", "--config", str(config)]
    with daemon.Daemon(command, folder / f"s{len(urls) - 1}") as serving:
        tenants = Child([str(stage.programs.parent / "eval/idle_tenants"),
                         *(str(folder / f"s{number}") for number in range(len(urls)))],
                        "idle_tenants")
        try:
            stream, text = tenants.lines.get(timeout=START_TIMEOUT_S)
            if (stream, text) != ("out", "ready"):
                raise daemon.DaemonError(f"the idle tenants: {text}")
            time.sleep(SETTLE_S)
            return status_mib(serving.serving_pid())
        finally:
            tenants.close()


def status_mib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {name: int(re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)[1]) / 1024
            for name, field in (("private", "RssAnon"), ("resident", "VmRSS"))}


def each_mib(results, kind, what):
    """Of one further file system, the least of the rounds: other work only adds to it."""
    least = {which: min(found[what] for found in results[kind][which]) for which in (ALONE, MANY)}
    return (least[MANY] - least[ALONE]) / results["count"]
