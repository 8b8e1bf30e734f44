# SPDX-License-Identifier: Apache-2.0
"""The checker itself, on a plain directory: it finds what is damaged behind its back."""
import re
import shutil
import time

from clients import CheckError, check


def finds_nothing(bench):
    """Nothing is wrong where nothing was done."""
    folder = bench.folder / "plain"
    folder.mkdir()
    loads = worked(bench, folder)
    loads.verify(folder, "on a plain directory")


def finds_damage(bench):
    """A lost block, an older one, a part of one, a lost line, one twice, a name too many."""
    folder = bench.folder / "plain"
    folder.mkdir()
    loads = worked(bench, folder)
    for damage in DAMAGES:
        copy = bench.folder / damage.__name__
        shutil.copytree(folder, copy)
        damage(copy)
        try:
            loads.verify(copy, damage.__name__)
        except CheckError as error:
            bench.report.line("note", re.sub(r"\s+", " ", str(error))[:110])
            continue
        raise CheckError(f"{damage.__name__}: not found")


def worked(bench, folder):
    loads = bench.loads(folder)
    loads.wait_for_progress(more=50)
    time.sleep(0.5)
    said = loads.stop()
    check(all(one["acknowledged"] for one in said.values()), f"nothing was done: {said}")
    return loads


def change(path, function):
    path.write_bytes(function(path.read_bytes()))


def block_is_lost(folder):
    change(folder / "blocks/blocks0", lambda data: data[:40960] + bytes(4096) + data[45056:])


def block_is_anothers(folder):
    change(folder / "blocks/blocks0", lambda data: data[:40960] + data[45056:49152] + data[45056:])


def sector_is_lost(folder):
    change(folder / "synced/blocks1", lambda data: data[:51200] + bytes(512) + data[51712:])


def file_is_short(folder):
    change(folder / "synced/blocks1", lambda data: data[:len(data) // 2])


def line_is_lost(folder):
    change(folder / "appends/appended", lambda data: data[:-64])


def line_is_there_twice(folder):
    change(folder / "appends/appended", lambda data: data[:640] + data[576:640] + data[640:-64])


def name_is_lost(folder):
    next((folder / "names").glob("kept*")).unlink()


def name_came_back(folder):
    (folder / "names/linked7").write_text("")


DAMAGES = (block_is_lost, block_is_anothers, sector_is_lost, file_is_short, line_is_lost,
           line_is_there_twice, name_is_lost, name_came_back)
QUICK = (finds_nothing, finds_damage)
ALL = QUICK
