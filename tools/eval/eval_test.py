#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The evaluation: what is made of counts, and the report."""
import pathlib
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stage  # noqa: E402
import client  # noqa: E402
import guest  # noqa: E402
import host  # noqa: E402
import nfs_report as report  # noqa: E402
import tenant  # noqa: E402
import workloads  # noqa: E402

SYMBOLS = """\
ffffffff81000000 T first
ffffffff81000100 t vp_notify
ffffffff81000200 D data
ffffffffc0000000 t of_a_module [nfs]
"""
COUNTS = """\
1000 200
ffffffff81000000 300 100
ffffffff81000010 50 50
ffffffff81000100 40 4
ffffffffc0000020 600 6
"""
ABOUT = {"guest": "Linux", "server": "Ganesha", "network": "a tap"}


def counts(kernel):
    return {"kernel": kernel, "user": 36, "interrupts": 1.0, "kicks": 0.5,
            "profile": [("fuse_direct_io", 250, 1)]}


def host_run(rate, p50_us):
    return {"rate": rate, "p50_us": p50_us, "p99_us": 2 * p50_us, "cpu_us": 1.0}


class GuestTest(unittest.TestCase):
    def test_blocks_are_counted_for_their_functions(self):
        kernel, user, functions, calls = guest.parse_counts(COUNTS, guest.Symbols(SYMBOLS))
        self.assertEqual((kernel, user), (1000, 200))
        self.assertEqual(functions, {"first": 350, "vp_notify": 40, "of_a_module": 600})
        # A block inside of a function is no call of it.
        self.assertEqual(calls, {"first": 100, "vp_notify": 4})

    def test_counts_are_for_each_operation(self):
        found = guest.Measured("0-read-1", 10, 1.0, 5, 1000, 200, {"a": 600, "b": 400},
                               {"vp_notify": 20})
        self.assertEqual(found.per_operation(),
                         {"kernel": 100, "user": 20, "interrupts": 0.5, "kicks": 2})
        self.assertEqual(found.profile(1), [("a", 60, 0)])


class JobTest(unittest.TestCase):
    def test_who_begins_takes_turns(self):
        lines = tenant.job(stage.QUICK).splitlines()
        self.assertIn("/theirs/", lines[0])
        self.assertIn("/ours/", lines[len(tenant.DIRECTIONS) * len(tenant.DEPTHS) * 2])

    def test_both_clients_do_the_same_in_the_guest(self):
        lines = workloads.guest_job(stage.QUICK).splitlines()
        ours = [line for line in lines if line.startswith("run ours")]
        theirs = [line.replace("theirs", "ours") for line in lines
                  if line.startswith("run theirs")]
        self.assertEqual(ours, theirs)


class ReportTest(unittest.TestCase):
    def setUp(self):
        names = [f"{direction}-{depth}" for direction in tenant.DIRECTIONS
                 for depth in tenant.DEPTHS]
        self.results = {
            "tenant": {
                stage.GUEST_NFS: {name: [counts(70_000), counts(72_000)] for name in names},
                stage.OURS_VIRTIO: {name: [counts(18_000)] for name in names}},
            "throughput": {host.OURS: {depth: [host_run(1000 * depth, 40)]
                                       for depth in host.DEPTHS},
                           host.LIBNFS: {1: [host_run(500, 80)]}},
            "latency": {"sleep": {host.OURS: {1: [host_run(1, 90)]},
                                  host.NULL: {1: [host_run(1, 30)]}},
                        "poll": {}},
            "workloads": {workloads.SERVERS_OWN: {workloads.UNTAR: [200]},
                          workloads.MOUNT: {workloads.UNTAR: [100, 100]}},
            "guest workloads": {stage.GUEST_NFS: {workloads.PUT: [counts(300)]},
                                stage.OURS_VIRTIO: {workloads.PUT: [counts(100)]}},
        }

    def test_ratio_is_of_medians(self):
        self.assertAlmostEqual(tenant.ratio(self.results["tenant"], "read-1"), 71_000 / 18_000)

    def test_missed_targets_are_marked(self):
        text = report.markdown(self.results, ABOUT, [])
        self.assertIn("| read, depth 1 | 71,000 ±1 % | 18,000 | 3.94 | >= 3.5 | met |", text)
        self.assertIn("| read, depth 32 | 71,000 ±1 % | 18,000 | 3.94 | >= 4.4 | **missed** |",
                      text)

    def test_nfs_is_what_the_null_device_does_not_take(self):
        rows = dict(report.latency_rows(self.results["latency"]["sleep"]))
        self.assertEqual(rows["NFS: client, network and server"], 60)
        self.assertIsNone(rows["bare TCP"])

    def test_clients_targets_are_for_each_core(self):
        runs = [host_run(300_000, 90) | {"cpu_us": 1.25}]
        text = report.markdown({"client": {
            host.OURS: {depth: runs for depth in client.DEPTHS},
            host.FLOOR: {depth: runs for depth in client.DEPTHS},
            client.SEQUENTIAL: {8: [host_run(1000, 90) | {"cpu_us": 1000}]}}}, ABOUT, [])
        self.assertIn("| reads for each core | 800,000/s | >= 400,000/s | met |", text)
        self.assertIn("| 1.05 GB/s | >= 2 GB/s | **missed** |", text)

    def test_what_was_not_measured_is_left_out(self):
        text = report.markdown({"latency": self.results["latency"]}, ABOUT, ["SKIPPED libnfs"])
        self.assertIn("SKIPPED libnfs", text)
        self.assertNotIn("## Throughput", text)

    def test_every_table_is_followed_by_how_it_was_measured(self):
        for section in report.markdown(self.results, ABOUT, []).split("\n## ")[1:]:
            self.assertRegex(section, r"\|\n\n\*[^|]*\.\*\n")

    def test_plots_are_well_formed(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = report.plots(self.results, pathlib.Path(folder))
            self.assertEqual([path.stem for path in paths], ["tenant", "throughput", "latency"])
            for path in paths:
                xml.dom.minidom.parse(str(path))


if __name__ == "__main__":
    unittest.main()
