# SPDX-License-Identifier: Apache-2.0
"""What happens to a Valkey cluster, and to who has the file system, while tenants work: all that was
answered is there afterwards, and nobody waits longer than he was told."""
import contextlib
import pathlib
import subprocess
import time

import fetch
import valkey
from clients import CheckError, Load, Loads, Skip, check, wait_until, within

# Work before a fault, and without one between two.
CALM_S = 1.5
TIMEOUT_S = 20
# With a failover after 2 s of silence, and its vote.
FAILOVER_S = 12
# The daemon looks at its limits now and then, and the load is a process on a busy machine.
LATE_S = 5
SUITE_TIMEOUT_S = 300


def servers(bench, **options):
    """3 primaries and 3 replicas, which synchronize their files before they answer."""
    settings = {"appendonly": "yes", "appendfsync": "always"}
    program = valkey.find_program()
    if program is None:
        try:
            program = fetch.ensure().valkey()
        except fetch.FetchError as error:
            raise Skip(f"there is no Valkey here: {error}") from None
    return bench.enter(valkey.Valkey(program, **({"primaries": 3, "settings": settings} | options)))


def url(cluster, **options):
    options = {"timeout": TIMEOUT_S} | options
    words = "&".join(name if value is True else f"{name}={value}"
                     for name, value in options.items())
    return f"{cluster.url()}?{words}"


def load(bench, path):
    # Synchronized writes take as long as three servers' disks do.
    kinds = ("blocks", "appends", "names", *(["synced"] if bench.options.all else []))
    return bench.enter(Loads(bench, path, kinds))


def work_through(bench, cluster, faults, mounted=None):
    """Everything at work; each fault; everything goes on; all of it is there, for the tenant and for
    the next daemon, and fsck finds nothing."""
    mounted = mounted or bench.mount(url(cluster))
    loads = load(bench, mounted.path)
    loads.wait_for_progress()
    for fault in faults:
        time.sleep(CALM_S)
        fault()
        took = loads.wait_for_progress()
        bench.report.line("note", f"all went on {took:.1f} s after {fault.__name__}")
    said = loads.stop()
    waited = max(one["longest_wait_s"] for one in said.values())
    check(waited < TIMEOUT_S + LATE_S, f"a call took {waited} s")
    loads.verify(mounted.path, "through the mount")
    status = mounted.end()
    check(status == 0, f"dpfs mount ended with status {status}: {mounted.last_words()}")
    verify_again(bench, cluster, loads)


def verify_again(bench, cluster, loads):
    """By a daemon that has nothing in its memory."""
    again = bench.mount(url(cluster), "again", options=())
    loads.verify(again.path, "through the next daemon")
    again.end()
    if bench.has_fsck():
        bench.fsck(url(cluster))


def slot_of_the_file_system(cluster):
    return int(cluster.servers[0].call("CLUSTER", "KEYSLOT", "{main}"))


def owner(cluster, slot):
    """The number of the server that has it."""
    for first, last, primary, *_ in cluster.servers[0].call("CLUSTER", "SLOTS"):
        if int(first) <= slot <= int(last):
            port = int(primary[1])
            return next(number for number, server in enumerate(cluster.servers)
                        if server.port == port)
    raise CheckError(f"nobody has slot {slot}")


def other_primary(cluster, number):
    return next(each for each in cluster.primaries() if each != number)


# ---- Cases

def calm(bench):
    """Nothing happens: the cases' own check."""
    work_through(bench, servers(bench), [])


def reshard(bench):
    """The slot of the file system goes to another primary, slowly and back at once; so do some
    hundred others, with the contents that lie there."""
    cluster = servers(bench)
    slot = slot_of_the_file_system(cluster)
    first = owner(cluster, slot)
    second = other_primary(cluster, first)

    def slot_moves():
        cluster.migrating(slot, first, second)
        time.sleep(1)
        cluster.migrated(slot, first, second)

    def slot_comes_back():
        cluster.reshard(slot, slot, second, first)

    def contents_move():
        low = max(0, slot - 300)
        while owner(cluster, low) != first:
            low += 1
        cluster.reshard(low, slot - 1, first, second)
    work_through(bench, cluster, [slot_moves, slot_comes_back, contents_move])


def failover_by_kill(bench):
    """kill -9 of the primary that has the file system; later it comes back as a replica; then of
    another one, which has contents only."""
    cluster = servers(bench)
    first = owner(cluster, slot_of_the_file_system(cluster))

    def kill():
        cluster.servers[first].kill()

    def comes_back():
        cluster.servers[first].start()
        cluster.wait()

    def kill_another():
        now = owner(cluster, slot_of_the_file_system(cluster))
        cluster.servers[other_primary(cluster, now)].kill()
    work_through(bench, cluster, [kill, comes_back, kill_another])


def failover_in_agreement(bench):
    """The replica of the primary that has the file system takes its place, and gives it back."""
    cluster = servers(bench)
    first = owner(cluster, slot_of_the_file_system(cluster))
    replica = first + 3

    def replica_takes_over():
        cluster.failover(replica)

    def primary_takes_over():
        cluster.wait()
        cluster.failover(first)
    work_through(bench, cluster, [replica_takes_over, primary_takes_over])


def stopped_primary(bench):
    """SIGSTOP of the primary for so long that its replica takes its place; then it wakes, and still
    believes to be one."""
    cluster = servers(bench)
    first = owner(cluster, slot_of_the_file_system(cluster))

    def stops_for_8_s():
        cluster.servers[first].pause()
        time.sleep(8)
        cluster.servers[first].resume()
    work_through(bench, cluster, [stops_for_8_s])


def cut_10_s(bench):
    """The network between the daemon and all servers is gone for 10 s."""
    cluster = servers(bench, namespace=True)

    def cut():
        cluster.link.cut()
        time.sleep(10)
        cluster.link.mend()
    work_through(bench, cluster, [cut])


def cut_beyond_the_timeout(bench):
    """The network is gone for longer than calls may take: they end with an error in time, what was
    answered before is there, and after the cut everything works again."""
    cluster = servers(bench, namespace=True)
    mounted = bench.mount(url(cluster, timeout=4, sync_timeout=3, lease=6))
    loads = load(bench, mounted.path)
    loads.wait_for_progress()
    cluster.link.cut()
    # fsync waits for one that is under way, and each of them for disks and for an answer at the end.
    took = wait_until(lambda: not any(each.child.running() for each in loads.loads),
                      2 * (4 + 3) + LATE_S, "calls do not end while the network is gone")
    bench.report.line("note", f"all calls had ended {took:.1f} s after the cut")
    cluster.link.mend()
    said = loads.stop(errors_allowed=True)
    check(all(one["error"] for one in said.values()), f"somebody got no error: {said}")

    def works():
        try:
            within(10, (mounted.path / "after").write_text, "the cut")
            return True
        except OSError:
            return False
    wait_until(works, 15, "nothing works after the cut")
    loads.verify(mounted.path, "through the mount")
    mounted.end()
    verify_again(bench, cluster, loads)


def whole_cluster_restarts(bench):
    """All servers are killed and started again: what they synchronized is there, and what was
    answered, too."""
    cluster = servers(bench)

    def kill_and_start():
        for server in cluster.servers:
            server.kill()
        for server in cluster.servers:
            server.start()
        cluster.wait()
    work_through(bench, cluster, [kill_and_start])


def second_daemon_is_refused(bench):
    """A second daemon says who has the file system and what to do; the first one goes on."""
    cluster = servers(bench, primaries=0)
    mounted = bench.mount(url(cluster, lease=4))
    loads = load(bench, mounted.path)
    loads.wait_for_progress()
    try:
        bench.mount(url(cluster), "second", options=())
    except CheckError as error:
        said = str(error)
    else:
        raise CheckError("two daemons have one file system")
    check(f"process {mounted.pid}," in said and "takeover" in said, f"it says {said}")
    loads.wait_for_progress()
    loads.stop()
    loads.verify(mounted.path, "through the mount")


def takeover(bench):
    """A second daemon takes the file system over under load: the first one's tenants get errors, its
    later changes are not made, and what it had answered is there."""
    cluster = servers(bench, primaries=0)
    mounted = bench.mount(url(cluster))
    loads = load(bench, mounted.path)
    loads.wait_for_progress()
    second = bench.mount(url(cluster, takeover=True), "second", options=())
    loads.verify(second.path, "through the second daemon, at once")
    said = loads.stop(errors_allowed=True)
    check(all(one["error"] for one in said.values()), f"the first one still serves: {said}")
    wait_until(lambda: mounted.has_logged("has taken this file system over"), 10,
               "the first one does not know")
    loads.verify(second.path, "through the second daemon")
    more = bench.enter(contextlib.closing(
        Load("names", second.path / "more", bench.folder / "more.journal")))
    wait_until(lambda: more.progress() > 10, 10, "the second daemon does not serve")
    check(more.stop()["error"] is None, "the second daemon's tenant got an error")
    mounted.end()
    second.end()
    verify_again(bench, cluster, loads)


def takeover_of_a_stopped_daemon(bench):
    """A daemon sleeps for longer than its lease, another one takes its place, and it wakes: what it
    then sends is refused."""
    cluster = servers(bench, primaries=0)
    mounted = bench.mount(url(cluster, lease=2))
    loads = load(bench, mounted.path)
    loads.wait_for_progress()
    subprocess.run(["kill", "-STOP", str(mounted.pid)], check=True)
    try:
        second = bench.mount(url(cluster), "second", options=())
        loads.verify(second.path, "through the second daemon")
    finally:
        subprocess.run(["kill", "-CONT", str(mounted.pid)], check=True)
    loads.stop(errors_allowed=True)
    loads.verify(second.path, "after the first one woke up")
    mounted.end()
    second.end()
    verify_again(bench, cluster, loads)


def killed_daemon(bench):
    """kill -9 of the daemon under load; the next one waits for its lease to end."""
    cluster = servers(bench)
    mounted = bench.mount(url(cluster, lease=3))
    loads = load(bench, mounted.path)
    loads.wait_for_progress(more=10)
    mounted.kill()
    loads.stop(errors_allowed=True)
    mounted.close()
    verify_again(bench, cluster, loads)


def suites(bench):
    """The POSIX cases, random operations beside a plain directory, and one file against a model; on
    servers without files, whose disks would make minutes of it."""
    cluster = servers(bench, settings={})
    mounted = bench.mount(url(cluster), options=("--create", "-o", "dev,suid"))
    plain = bench.folder / "plain"
    plain.mkdir()
    program = bench.options.dpfs.parent / "tests" / "posix_suite"
    known = pathlib.Path(__file__).resolve().parents[1] / "posix" / "known" / "kv.txt"
    for words in (("cases", mounted.path, "--known", known),
                  ("differential", mounted.path, "--beside", plain, "--seed", 1, "--rounds", 3),
                  ("fsx", mounted.path, "--seed", 1, "--processes", 2, "--ops", 3000)):
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                              timeout=SUITE_TIMEOUT_S, check=False)
        lines = (done.stdout + done.stderr).strip().splitlines()
        if done.returncode != 0:
            for line in lines[-40:]:
                bench.report.line("suite", line)
        check(done.returncode == 0, f"{words[0]}: differences, see above")
        bench.report.line("suite", lines[-1])


QUICK = (reshard, failover_by_kill, second_daemon_is_refused, takeover,
         takeover_of_a_stopped_daemon)
ALL = (calm, *QUICK, failover_in_agreement, stopped_primary, cut_10_s, cut_beyond_the_timeout,
       whole_cluster_restarts, killed_daemon, suites)
