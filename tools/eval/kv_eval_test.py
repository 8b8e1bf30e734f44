#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The evaluation of the key-value back end: goals, report, and who is skipped."""
import argparse
import pathlib
import sys
import tempfile
import types
import unittest
import unittest.mock
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stage as stages  # noqa: E402,F401  finds the rig and the benchmark
import kv  # noqa: E402
import kv_device as device  # noqa: E402
import kv_growth as growth  # noqa: E402
import kv_memory as memory  # noqa: E402
import kv_report as report  # noqa: E402
import kv_stage  # noqa: E402
import kv_subjects as subjects  # noqa: E402


def run(p50_us, rate=1000, cpu_us=10):
    return {"rate": rate, "p50_us": p50_us, "p99_us": p50_us, "cpu_us": cpu_us, "rss_mib": 1}


def ways(p50_us, **figures):
    return {way: {job: [run(p50_us, **figures)] for job in device.TITLES}
            for way in (report.SLEEPS, report.POLLS, report.MANY)}


def stage_in(folder):
    return kv_stage.Stage(None, pathlib.Path("dpfs"), folder, folder, folder, kv_stage.QUICK,
                          tuple(subjects.SUBJECTS), [], [])


class ReportTest(unittest.TestCase):
    def setUp(self):
        sizes = {files: {job: run(5, cpu_us=files / 1000) for job in growth.JOBS}
                 for files in (1000, 10_000)}
        self.results = {
            "device": {subjects.ROCKSDB: ways(30, rate=20_000), subjects.NFS: ways(90),
                       subjects.NULL: ways(20)},
            "mounts": {subjects.ROCKSDB: {"put": [{"rate": 900, "cpu_us": 70}]},
                       subjects.S3QL: {"put": [{"rate": 700, "cpu_us": 700}]}},
            "growth": {subjects.ROCKSDB: {growth.DIRECTORY: sizes, growth.TREE: sizes}},
            "memory": {"count": 10, **{
                kind: {memory.ALONE: [{"private": 1, "resident": 2}],
                       memory.MANY: [{"private": 1 + each * 10, "resident": 2 + each * 10},
                                     {"private": 99, "resident": 99}]}
                for kind, each in ((memory.NULLS, 0.5), (subjects.ROCKSDB, 0.75))}}}

    def test_goals_follow_from_what_was_measured(self):
        goals = {goal.title: goal for goal in report.goals(self.results)}
        self.assertEqual([goal.met for goal in goals.values()],
                         [True, True, True, None, None, True, True, True])
        self.assertEqual(goals["RocksDB against NFS, 4 KiB file read at depth 1"].value, 3)
        idle = goals["each further idle file system, less a null device's"]
        self.assertAlmostEqual(idle.value, 0.25)

    def test_missed_goal_says_what_was_wanted(self):
        self.results["device"][subjects.NFS] = ways(33)
        missed = [goal for goal in report.goals(self.results) if goal.met is False]
        self.assertEqual(missed[0].text(),
                         "RocksDB against NFS, 4 KiB file read at depth 1: 1.1 times, not >= 1.5 "
                         "times")
        self.assertIn("**missed**", report.markdown(self.results, {}, []))

    def test_what_was_not_measured_is_left_out(self):
        text = report.markdown({"mounts": self.results["mounts"]}, {}, ["SKIPPED Valkey"])
        self.assertIn("**SKIPPED Valkey**", text)
        self.assertNotIn("## Goals", text)
        self.assertNotIn("## With more files", text)

    def test_every_table_is_followed_by_how_it_was_measured(self):
        for section in report.markdown(self.results, {}, []).split("\n## ")[1:]:
            self.assertRegex(section, r"\|\n\n\*[^|]*\.\*\n")

    def test_plots_are_well_formed(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = report.plots(self.results, pathlib.Path(folder))
            self.assertEqual([path.stem for path in paths], ["device", "mounts", "growth"])
            for path in paths:
                xml.dom.minidom.parse(str(path))


class SubjectsTest(unittest.TestCase):
    def test_unknown_scheme_is_skipped_and_noted(self):
        with tempfile.TemporaryDirectory() as folder, \
                unittest.mock.patch.object(subjects, "schemes", lambda dpfs: "local:"), \
                unittest.mock.patch.object(kv_stage, "say"):
            stage = stage_in(pathlib.Path(folder))
            with subjects.begin_all([subjects.VALKEY, subjects.LOCAL], stage) as found:
                self.assertEqual([subject.name for subject in found], [subjects.LOCAL])
            self.assertEqual(len(stage.notes), 1)
            self.assertTrue(stage.notes[0].startswith(f"SKIPPED {subjects.VALKEY}: "))
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_every_subject_has_a_name_on_the_command_line_and_a_colour(self):
        self.assertEqual(set(kv.SUBJECTS.values()), set(subjects.SUBJECTS))
        self.assertEqual(set(subjects.COLOURS), set(subjects.SUBJECTS))


class ArgumentsTest(unittest.TestCase):
    def test_unknown_parts_are_refused_with_the_known_ones(self):
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "no dance.*device,mounts"):
            kv.some_of(kv.PARTS)("device,dance")

    def test_growth_goes_on_by_tens(self):
        args = types.SimpleNamespace(quick=False, rounds=None, files_max=10_000_000)
        self.assertEqual(kv.effort_of(args).sizes[-2:], (1_000_000, 10_000_000))

    def test_a_tree_has_folders_and_a_directory_none(self):
        self.assertEqual(growth.folders(1_000_000, growth.TREE), 10_000)
        self.assertEqual(growth.folders(1_000_000, growth.DIRECTORY), 1)


if __name__ == "__main__":
    unittest.main()
