# SPDX-License-Identifier: Apache-2.0
"""What happens to the server and to the way there while a client works: nothing that fsync has
acknowledged is lost, and nobody gets an error."""
import random
import time

from clients import CheckError, Skip, check, wait_until

# Work before a fault, and without one between two.
CALM_S = 1.5
EVERYTHING = ("blocks", "synced", "appends", "names")


def work_through(bench, server, mounted, faults, kinds=EVERYTHING):
    """Everything at work; each fault; everything goes on; all of it is there, on both sides."""
    loads = bench.loads(mounted.path, kinds=kinds)
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
    # It has ended its session, or a restarted server would wait for it.
    wait_until(lambda: not server.clients(), 3, f"the server still knows {server.clients()}")
    # Another client, which has nothing cached, sees the same.
    again = bench.mount(server.url(), "again")
    loads.verify(again.path, "by another client")


def restart(bench):
    """The server is restarted while files are written, named and locked: stopped as by a service
    manager, and started again; twice."""
    server = bench.server()
    work_through(bench, server, bench.mount(server.url()), [server.restart, server.restart])


def power_loss(bench):
    """The server's machine loses power, twice: what was not synchronized is gone, and is sent again.

    Without names: that server does not synchronize directories, so those are lost with it.
    """
    server = bench.server()

    def lose_power():
        server.lose_power()
        server.start()
    work_through(bench, server, bench.mount(server.url()), [lose_power, lose_power],
                 kinds=("blocks", "synced", "appends"))


def killed_daemon(bench):
    """kill -9 of the daemon in the middle of writing: what it acknowledged is on the server."""
    server = bench.server()
    mounted = bench.mount(server.url())
    loads = bench.loads(mounted.path)
    loads.wait_for_progress(more=30)
    mounted.kill()
    loads.stop(errors_allowed=True)
    loads.verify(server.exported, "on the server")
    again = bench.mount(server.url(), "again")
    loads.verify(again.path, "through the next daemon")


def weather(bench):
    """A minute of everything, at random: restarts, kills, cuts and stops of up to 7 s."""
    server = bench.server(namespace=True)
    seed = int(time.time())
    bench.report.line("note", f"seed {seed}")
    draw = random.Random(seed)

    def interrupted(begin, end):
        begin()
        time.sleep(draw.uniform(0.1, 7))
        end()

    kinds = {
        "restart": server.restart,
        "kill": lambda: interrupted(server.kill, server.start),
        "cut": lambda: interrupted(server.cut, server.mend),
        "stop": lambda: interrupted(server.pause, server.resume),
    }

    def storm():
        end = time.monotonic() + 60
        names = []
        while time.monotonic() < end:
            names.append(draw.choice(list(kinds)))
            kinds[names[-1]]()
            time.sleep(draw.uniform(0, 4))
        bench.report.line("note", " ".join(names))
    work_through(bench, server, bench.mount(server.url()), [storm])


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


def slow_link(bench):
    """A way that is much too slow for what is asked at once: everything waits, nothing is lost."""
    server = bench.server(namespace=True)

    def slow_for_10_s():
        server.slow_down("4mbit")
        time.sleep(10)
        server.slow_down(None)
    work_through(bench, server, bench.mount(server.url()), [slow_for_10_s])


def ipv6(bench):
    """By an IPv6 address, over a restart."""
    try:
        server = bench.server(address="::1")
    except OSError as error:
        raise Skip(f"no IPv6 on loopback: {error}") from None
    work_through(bench, server, bench.mount(server.url()), [server.restart])


def by_name(bench):
    """By the server's name; of its addresses only one answers."""
    server = bench.server()
    url = server.url().replace(server.address, "localhost")
    mounted = bench.mount(url)
    check(mounted.end() == 0, f"dpfs mount ended badly: {mounted.last_words()}")


def refused_security(bench):
    """Kerberos and TLS are refused in words, not ignored."""
    server = bench.server()
    for options in ({"sec": "krb5"}, {"sec": "krb5p"}, {"xprtsec": "tls"}):
        mounted = bench.mount(server.url(**options), "_".join(options.values()), ready=False)
        status = mounted.child.wait(20)
        check(status not in {None, 0}, f"{options}: it is served")
        check(mounted.has_logged("|".join([*options, *options.values()])),
              f"{options}: it says {mounted.last_words()}")


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
    url = server.url(soft=True, timeo=1, retrans=1)
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


def no_directory(bench):
    """A share that is a file is refused at the start."""
    server = bench.server()
    (server.exported / "file").write_text("text")
    try:
        bench.mount(server.url("file"))
    except CheckError as error:
        check("is no directory" in str(error), f"it says: {error}")
        return
    raise CheckError("it is mounted")


QUICK = (restart, killed_server, power_loss, killed_daemon, cut_2_s, daemon_first,
         daemon_first_soft, wrong_export, no_directory, ipv6, by_name, refused_security)
ALL = (*QUICK, weather, slow_link, restart_after_a_while, cut_12_s, stopped_10_s,
       several_connections)
