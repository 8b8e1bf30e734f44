# SPDX-License-Identifier: Apache-2.0
"""What a tenant pays for 4 KiB: instructions of its kernel, interrupts, notifications."""
import statistics

import guest
from stage import DATA_FILE, GUEST_NFS, OURS_VIRTIO, TAG

import daemon

FOLDERS = {GUEST_NFS: "/theirs", OURS_VIRTIO: "/ours"}
DIRECTIONS = ("read", "write")
DEPTHS = (1, 32)
# How many functions of a profile are kept.
PROFILE = 40
# What the project wants: so many times fewer instructions than the guest's own client.
TARGETS = {1: 3.5, 32: 4.4}


def job(effort):
    """Both peers in turn, one boot. Who begins takes turns, too."""
    counts = {1: effort.depth1, 32: effort.depth32}
    lines = []
    for round_number in range(effort.rounds):
        peers = list(FOLDERS) if round_number % 2 == 0 else list(FOLDERS)[::-1]
        for direction in DIRECTIONS:
            for depth in DEPTHS:
                for peer in peers:
                    name = f"{list(FOLDERS).index(peer)}-{direction}-{depth}"
                    lines.append(f"guest_load {name} io {direction} {FOLDERS[peer]}/{DATA_FILE} "
                                 f"{depth} {counts[depth]} || die '{direction} at {depth}'")
    return "\n".join([*lines, "umount /theirs", "umount /ours", ""])


def run(stage, extra=()):
    """results[peer]["read-32"]: for each round, counts for each operation."""
    guest.make_data(stage)
    socket = stage.folder / "socket"
    command = daemon.dpfs_command(stage.dpfs, socket_path=socket, tag=TAG, url=stage.url(),
                                  extra=extra)
    results = {peer: {} for peer in FOLDERS}
    with daemon.Daemon(command, socket) as serving:
        for found in guest.measure(stage, serving, job(stage.effort)):
            number, name = found.name.split("-", 1)
            peer = list(FOLDERS)[int(number)]
            results[peer].setdefault(name, []).append(
                found.per_operation() | {"profile": found.profile(PROFILE)})
    return results


def median(results, peer, name, key):
    return statistics.median(run[key] for run in results[peer][name])


def ratio(results, name):
    """How many times more instructions the guest's own client takes."""
    return (median(results, GUEST_NFS, name, "kernel")
            / median(results, OURS_VIRTIO, name, "kernel"))
