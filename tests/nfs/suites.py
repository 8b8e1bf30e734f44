# SPDX-License-Identifier: Apache-2.0
"""The conformance suites of tests/posix on a mount. What NFS itself forbids: docs/posix.md."""
import pathlib
import subprocess

from clients import CheckError

KNOWN = pathlib.Path(__file__).resolve().parents[1] / "posix" / "known"
LIMIT_S = 150


def suite(bench, *arguments):
    """Runs it; its words are shown when it fails, and its last line always."""
    program = bench.options.dpfs.parent / "tests" / "posix_suite"
    try:
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace").strip().splitlines()
        raise CheckError(f"more than {LIMIT_S} s; at last: {' / '.join(said[-3:])}") from None
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0:
        for line in lines:
            bench.report.line("suite", line)
        failed = sum(line.startswith("FAILED") for line in lines)
        raise CheckError(f"{failed or ''} differences, see above".strip())
    bench.report.line("suite", lines[-1] if lines else "")


def mounted(bench, **options):
    """(mount, server): with devices and set-user-id bits, as the suite wants them."""
    server = bench.server()
    return bench.mount(server.url(**options), options=["-o", "dev,suid"]), server


def known_differences(bench):
    path = bench.folder / "known"
    path.write_text("".join((KNOWN / name).read_text() for name in ("fuse.txt", "nfs.txt")))
    return path


def cases(bench):
    """The POSIX cases."""
    mount, _ = mounted(bench)
    suite(bench, "cases", mount.path, "--known", known_differences(bench))


def cases_one_connection_few_slots(bench):
    """The POSIX cases with four slots, and attributes that are never cached."""
    mount, _ = mounted(bench, slots=4, acregmin=0, acregmax=0, acdirmin=0, acdirmax=0)
    suite(bench, "cases", mount.path, "--known", known_differences(bench))


def shared_locks(bench):
    """The cases of locks from two sides: two daemons."""
    mount, server = mounted(bench)
    other = bench.mount(server.url(), "other")
    suite(bench, "cases", mount.path, "--only", "shared_locks", "--also", other.path)


def differential(bench):
    """Random operations here and on the plain disk that the server exports: all of root's."""
    compare(bench, "--one-user", "--only-files")


def differential_two_users(bench):
    """The same of two users, but nobody loses the right to a file that is open, for NFS servers look
    at it at each WRITE, and as who opened the file: so setuid goes even when root writes. Ganesha
    lists nothing to who may not search a directory."""
    compare(bench, "--without", "*chown,*chmod,list", "--plain-modes", "--only-files")


def compare(bench, *options):
    mount, server = mounted(bench)
    plain = server.disk.path / "plain"
    plain.mkdir()
    suite(bench, "differential", mount.path, "--beside", plain, "--seed", 1, "--rounds",
          20 if bench.options.all else 3, *options)


def fsx(bench):
    """One file in every way, byte by byte, from two processes."""
    mount, _ = mounted(bench)
    suite(bench, "fsx", mount.path, "--seed", 1, "--processes", 2, "--ops",
          20000 if bench.options.all else 3000)


def fsx_small_requests(bench):
    """The same with READ and WRITE of 4 KiB, so that all is in pieces."""
    mount, _ = mounted(bench, rsize=4096, wsize=4096)
    suite(bench, "fsx", mount.path, "--seed", 7, "--processes", 2, "--ops", 3000)


QUICK = (cases, shared_locks, differential, differential_two_users, fsx)
ALL = (*QUICK, cases_one_connection_few_slots, fsx_small_requests)
