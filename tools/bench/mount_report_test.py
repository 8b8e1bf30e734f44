#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of mounts: medians, ratios, who is slower; plots; the example that is built."""
import io
import pathlib
import sys
import tarfile
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import libfuse  # noqa: E402
import mount_plan as plan  # noqa: E402
import mount_report as report  # noqa: E402


def run_of(rate, cpu_us, job="stat1"):
    return {job: {"operations": 100, "seconds": 1.0, "rate": rate, "cpu_us": cpu_us}}


class MountReportTest(unittest.TestCase):
    def setUp(self):
        self.results = {
            plan.BARE: [run_of(900_000, 0)],
            plan.THEIRS: [run_of(rate, 10) for rate in (100, 110, 400)],
            plan.OURS: [run_of(rate, 5) for rate in (220, 210, 90)],
            plan.OURS_URING: [run_of(99, 4)],
        }

    def row(self, figure=report.RATE):
        [found] = report.rows(self.results, figure)
        return found

    def test_medians_are_compared(self):
        self.assertAlmostEqual(self.row().ratio(plan.OURS, plan.THEIRS), 210 / 110)
        self.assertAlmostEqual(self.row(report.CPU).ratio(plan.OURS, plan.THEIRS), 0.5)

    def test_who_is_slower_is_said(self):
        self.assertEqual(self.row().missed(), ["stat: dpfs, io_uring has 0.90 of libfuse's rate"])
        self.assertEqual(self.row(report.CPU).missed(), [])

    def test_peer_that_was_not_measured_has_no_column(self):
        del self.results[plan.THEIRS]
        text = report.markdown(self.results, {"machine": "this"})
        self.assertIn("| op/s | directory | dpfs | dpfs, io_uring |", text)
        self.assertIn("- machine: this", text)
        self.assertEqual(self.row().missed(), [])

    def test_job_that_nobody_has_is_left_out(self):
        self.assertNotIn("untarred |", report.markdown(self.results, {}))

    def test_directory_is_not_drawn_where_it_would_dwarf_the_others(self):
        self.assertNotIn(plan.BARE, report.in_reach(self.row().medians, plan.COLOURS))
        self.results[plan.BARE] = [run_of(300, 0)]
        self.assertIn(plan.BARE, report.in_reach(self.row().medians, plan.COLOURS))

    def test_plots_are_well_formed_and_show_the_values(self):
        with tempfile.TemporaryDirectory() as folder:
            written = report.plots(self.results, pathlib.Path(folder))
            self.assertEqual([path.name for path in written], ["rate.svg", "cpu.svg"])
            picture = xml.dom.minidom.parse(str(written[0]))
        words = {text.firstChild.data for text in picture.getElementsByTagName("text")}
        self.assertLessEqual({"stat", "210", "110", "99", plan.OURS_URING}, words)


class LibfuseTest(unittest.TestCase):
    def unpack(self, names):
        with tempfile.TemporaryDirectory() as folder:
            archive = pathlib.Path(folder) / "fuse3_9.orig.tar.gz"
            with tarfile.open(archive, "w:gz") as packed:
                for name in names:
                    member = tarfile.TarInfo(name)
                    member.size = 1
                    packed.addfile(member, io.BytesIO(b"x"))
            libfuse.unpack(archive, pathlib.Path(folder))
            return sorted(path.name for path in pathlib.Path(folder).iterdir())

    def test_only_the_example_is_unpacked(self):
        wanted = [f"fuse-9/example/{name}" for name in libfuse.EXAMPLE]
        found = self.unpack([*wanted, "fuse-9/lib/fuse.c", "../../example/../evil"])
        self.assertEqual(found, sorted([*libfuse.EXAMPLE, "fuse3_9.orig.tar.gz"]))

    def test_archive_without_it_is_said(self):
        with self.assertRaisesRegex(libfuse.LibfuseError, "passthrough_hp.cc"):
            self.unpack(["fuse-9/lib/fuse.c"])


if __name__ == "__main__":
    unittest.main()
