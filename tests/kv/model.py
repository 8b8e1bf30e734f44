# SPDX-License-Identifier: Apache-2.0
"""What a directory may look like after a crash, by the journal of who worked in it.

Names, modes and extended attributes are as they were after one of the calls: the last that was
answered, or the one that was under way, or, where the power failed, any since the last that
synchronized. Bytes are those of one of the states that a page of a file has had since it was last
synchronized.
"""
import json
import math
import pathlib
import random

PAGE = 4096


def content(seed, file, generation, size):
    """What a write stores: the same in no other place, nor at another time."""
    return random.Random(f"{seed} {file} {generation}").randbytes(size)


def pages_of(offset, size):
    return range(offset // PAGE, (offset + size + PAGE - 1) // PAGE)


class File:
    """Bytes as they are, and as they may be stored."""

    def __init__(self, mode):
        self.data = bytearray()
        self.mode = mode
        self.xattrs = {}
        self.ino = None
        self._pages = {}  # number: its states since the last was synchronized
        self._sizes = [0]

    def page(self, number):
        return bytes(self.data[number * PAGE:(number + 1) * PAGE]).ljust(PAGE, b"\0")

    def _states(self, number):
        return self._pages.setdefault(number, [self.page(number)])

    def _also(self, number, change):
        states = self._states(number)
        self._pages[number] = list(dict.fromkeys([*states, *map(change, states)]))

    def write(self, offset, data):
        touched = list(pages_of(offset, len(data)))
        for number in touched:
            self._states(number)
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset:offset + len(data)] = data
        for number in touched:
            self._pages[number].append(self.page(number))
        self._sizes.append(len(self.data))

    def truncate(self, size):
        # What a page may be is cut, whether it is stored yet or not.
        for number in pages_of(size, max(0, len(self.data) - size)):
            keep = max(0, size - number * PAGE)
            self._also(number, lambda state, keep=keep: state[:keep].ljust(PAGE, b"\0"))
        if size < len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))
        self._sizes.append(size)

    def punch(self, offset, size):
        size = min(size, max(0, len(self.data) - offset))
        for number in pages_of(offset, size):
            begin = max(0, offset - number * PAGE)
            end = min(PAGE, offset + size - number * PAGE)
            self._also(number, lambda state, begin=begin, end=end:
                       state[:begin] + bytes(end - begin) + state[end:])
        self.data[offset:offset + size] = bytes(size)

    def settle(self):
        """All of it is stored."""
        self._pages.clear()
        self._sizes = [len(self.data)]

    def settle_range(self, offset, size):
        for number in pages_of(offset, size):
            self._pages.pop(number, None)
        least = max(min(self._sizes), min(offset + size, len(self.data)))
        self._sizes = [least, len(self.data)]

    def problem(self, found):
        """What is wrong with these bytes, or ''."""
        if not min(self._sizes) <= len(found) <= max(self._sizes):
            return f"{len(found)} bytes, not {' or '.join(map(str, sorted(set(self._sizes))))}"
        for number in pages_of(0, len(found)):
            piece = found[number * PAGE:(number + 1) * PAGE]
            states = self._pages.get(number) or [self.page(number)]
            if not any(state[:len(piece)] == piece for state in states):
                what = "zeros" if not any(piece) else "other bytes"
                return f"page {number}: {what}, none of {len(states)} states"
        return ""


class Model:
    """Applies calls, each a list: its name and arguments."""

    def __init__(self, seed):
        self.seed = seed
        self.directories = {"": 0o755}  # path: mode
        self.names = {}                 # path: number of a file, or a symbolic link's target
        self.files = {}

    def apply(self, call, *arguments):
        getattr(self, f"_{call}")(*arguments)

    def _create(self, path, number, mode):
        self.files[number] = File(mode)
        if path is not None:
            self.names[path] = number

    def _write(self, number, offset, size, generation):
        self.files[number].write(offset, content(self.seed, number, generation, size))

    def _dsync(self, number, offset, size, generation):
        self._write(number, offset, size, generation)

    def _truncate(self, number, size):
        self.files[number].truncate(size)

    def _punch(self, number, offset, size):
        self.files[number].punch(offset, size)

    def _chmod(self, number, mode):
        self.files[number].mode = mode

    def _xattr(self, number, name, value):
        self.files[number].xattrs[name] = value

    def _fsync(self, number):
        pass

    def _fsyncdir(self, path):
        pass

    def _mkdir(self, path):
        self.directories[path] = 0o755

    def _rmdir(self, path):
        del self.directories[path]

    def _symlink(self, path, target):
        self.names[path] = target

    def _link(self, number, path):
        self.names[path] = number

    def _unlink(self, path):
        del self.names[path]

    def _rename(self, old, new):
        if old in self.names:
            self.names[new] = self.names.pop(old)
            return
        moved = {path: new + path[len(old):] for path in (*self.directories, *self.names)
                 if path == old or path.startswith(old + "/")}
        for table in (self.directories, self.names):
            for path in [path for path in table if path in moved]:
                table[moved[path]] = table.pop(path)

    def _exchange(self, one, other):
        self.names[one], self.names[other] = self.names[other], self.names[one]

    def done(self, strictly, call, *arguments):
        """It was answered. Strictly: what was answered is stored."""
        if call == "fsync" or (strictly and call in {"create", "write", "truncate", "punch"}):
            self.files[arguments[1] if call == "create" else arguments[0]].settle()
        elif call == "dsync":
            number, offset, size, _ = arguments
            if strictly:
                self.files[number].settle()
            else:
                self.files[number].settle_range(offset, size)

    def snapshot(self):
        """Path: what stat and its like say of it, files by their numbers."""
        links = {}
        for target in self.names.values():
            links[target] = links.get(target, 0) + 1
        out = {path: ("directory",) for path in self.directories}
        for path, target in self.names.items():
            if isinstance(target, str):
                out[path] = ("symlink", target)
            else:
                file = self.files[target]
                out[path] = ("file", target, links[target], file.mode,
                             tuple(sorted(file.xattrs.items())))
        return out


SYNCS = {"fsync", "fsyncdir", "dsync"}


class Journal:
    """Of one worker: [number, call, argument...] before a call, [number, inode number of what it
    made or null, time] after it. What was answered later than `until` does not count as answered.
    """

    def __init__(self, path, until=math.inf):
        self.calls = []
        self.answered = 0  # calls
        self.inos = {}     # of calls that made a file
        for line in pathlib.Path(path).read_text().splitlines():
            number, *rest = json.loads(line)
            if isinstance(rest[0], str):
                self.calls.append(rest)
                continue
            ino, time = rest
            if time < until:
                self.answered = number + 1
            if ino is not None:
                self.inos[number] = ino

    def synced(self):
        """How many calls are stored for sure, also when the power fails."""
        return max((number + 1 for number, (call, *_) in enumerate(self.calls[:self.answered])
                    if call in SYNCS), default=0)


def compare(seed, journal, found, *, power_failed, written_back):
    """Sentences about what should not be so. `found`: see the worker's look()."""
    model = Model(seed)
    floor = journal.synced() if power_failed else journal.answered
    strictly = not power_failed and not written_back
    by_ino = {}
    matches = None
    nearest = None
    for number in range(len(journal.calls) + 1):
        if number >= floor and matches is None:
            wrong = differences(model.snapshot(), found, by_ino)
            if not wrong:
                matches = number
            elif nearest is None or len(wrong) < len(nearest):
                nearest = wrong
        if number == len(journal.calls):
            break
        call = journal.calls[number]
        model.apply(*call)
        if call[0] == "create" and number in journal.inos:
            by_ino[journal.inos[number]] = call[2]
        if number < journal.answered:
            model.done(strictly, *call)
    if matches is None:
        under_way = journal.calls[journal.answered:]
        return [f"names are those of no moment after call {floor} of {len(journal.calls)}, "
                f"{under_way} under way: {'; '.join(nearest[:4])}"]
    problems = []
    for path, (kind, *what) in sorted(found.items()):
        if kind == "file":
            file = by_ino.get(what[0], None)
            # One whose making was not answered has no number that we know.
            if file is None:
                continue
            if problem := model.files[file].problem(what[4]):
                problems.append(f"{path} (file {file}): {problem}")
    return problems


def differences(expected, found, by_ino):
    """A file that was being made when it ended is known by nothing but its name."""
    wrong = []
    for path in sorted(expected.keys() | found.keys()):
        one, other = expected.get(path), found.get(path)
        if other and other[0] == "file":
            _, ino, links, mode, xattrs, _ = other
            number = by_ino.get(ino)
            if number is None and one and one[0] == "file" and one[1] not in by_ino.values():
                number = one[1]
            other = ("file", number, links, mode, xattrs)
        if one != other:
            wrong.append(f"{path or '.'}: {one} was expected, there is {other}")
    return wrong
