# SPDX-License-Identifier: Apache-2.0
"""What happens to the server and to the way there while a client works: nothing that fsync has
acknowledged is lost, and nobody gets an error."""
import time

from clients import CheckError, check

# Work before a fault, and without one between two.
CALM_S = 1.5


def work_through(bench, server, mounted, faults):
    """Everything at work; each fault; everything goes on; all of it is there, on both sides."""
    loads = bench.loads(mounted.path)
    loads.wait_for_progress()
    for fault in faults:
        time.sleep(CALM_S)
        fault()
        took = loads.wait_for_progress()
        bench.report.line("note", f"all went on {took:.1f} s after {fault.__name__}")
    loads.stop()
    loads.verify(server.exported, "on the server")
    loads.verify(mounted.path, "through the mount")
    status = mounted.end()
    check(status == 0, f"dpfs mount ended with status {status}: {mounted.last_words()}")
    # Another client, which has nothing cached, sees the same.
    again = bench.mount(server.url(), "again")
    loads.verify(again.path, "by another client")


def restart(bench):
    """The server is restarted while files are written, named and locked: stopped as by a service
    manager, and started again; twice."""
    server = bench.server()
    work_through(bench, server, bench.mount(server.url()), [server.restart, server.restart])


def restart_after_a_while(bench):
    """The server is away for as long as a lease and a grace period."""
    server = bench.server()

    def away():
        server.stop()
        time.sleep(10)
        server.start()
    work_through(bench, server, bench.mount(server.url()), [away])


def killed_server(bench):
    """kill -9 of the server, twice."""
    server = bench.server()

    def kill_and_start():
        server.kill()
        server.start()
    work_through(bench, server, bench.mount(server.url()), [kill_and_start, kill_and_start])


def cut_2_s(bench):
    """The network is gone for 2 s, less than the lease of 5 s."""
    cut(bench, 2)


def cut_12_s(bench):
    """The network is gone for 12 s, more than the lease of 5 s."""
    cut(bench, 12)


def cut(bench, seconds):
    server = bench.server(namespace=True)

    def cut_and_mend():
        server.cut()
        time.sleep(seconds)
        server.mend()
    work_through(bench, server, bench.mount(server.url()), [cut_and_mend])


def stopped_10_s(bench):
    """SIGSTOP for 10 s: connections stand, and nobody answers."""
    server = bench.server()

    def stop_and_continue():
        server.pause()
        time.sleep(10)
        server.resume()
    work_through(bench, server, bench.mount(server.url()), [stop_and_continue])


def several_connections(bench):
    """A restart and a cut of 2 s with four connections bound to one session."""
    server = bench.server(namespace=True)

    def cut_2():
        server.cut()
        time.sleep(2)
        server.mend()
    work_through(bench, server, bench.mount(server.url(nconnect=4)), [server.restart, cut_2])


def daemon_first(bench):
    """The daemon is started before its server: it waits, says so, and then serves."""
    server = bench.server()
    url = server.url()
    server.stop()
    mounted = bench.mount(url, ready=False)
    time.sleep(3)
    check(mounted.child.running(), f"dpfs mount ended: {mounted.last_words()}")
    check(not mounted.ready() or mounted.has_logged("(?i)wait|connect|refused|reach"),
          f"the log does not say what it waits for: {mounted.last_words()}")
    server.start()
    mounted.wait_until_ready()
    loads = bench.loads(mounted.path)
    loads.wait_for_progress()
    loads.stop()
    loads.verify(server.exported, "on the server")


def daemon_first_soft(bench):
    """With 'soft' it fails where there is no server, and says why."""
    server = bench.server()
    url = server.url(soft="true", timeo=1, retrans=1)
    server.stop()
    mounted = bench.mount(url, ready=False)
    status = mounted.child.wait(30)
    check(status is not None, "it still waits after 30 s")
    check(status != 0, "it ended as if all were well")
    check(mounted.has_logged("(?i)refused|connect|reach"),
          f"it does not say why: {mounted.last_words()}")


def wrong_export(bench):
    """A path that is not exported is refused, by its name."""
    server = bench.server()
    mounted = bench.mount(server.url().replace("/exp", "/nowhere"), ready=False)
    try:
        mounted.wait_until_ready()
    except CheckError:
        check(mounted.has_logged("nowhere"), f"the log does not name it: {mounted.last_words()}")
        return
    raise CheckError("it is mounted")


QUICK = (restart, killed_server, cut_2_s, daemon_first, daemon_first_soft, wrong_export)
ALL = (*QUICK, restart_after_a_while, cut_12_s, stopped_10_s, several_connections)
