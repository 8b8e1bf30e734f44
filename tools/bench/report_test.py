#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table's medians, ratios and verdicts."""
import pathlib
import sys
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import plan  # noqa: E402
import report  # noqa: E402


def run_of(job, cpu_us=1.0, rate=100.0, p50_us=10.0):
    return {"jobs": [{"job": job, "seconds": 1.0, "operations": 100,
                      "operations_per_second": rate, "bytes_per_second": rate * 4096,
                      "latency_ns": {"p50": p50_us * 1000, "p99": p50_us * 2000},
                      "daemon_cpu_ns_per_operation": cpu_us * 1000, "daemon_cpu_ns": 0,
                      "daemon_rss_bytes": 5 << 20}]}


def row(title, results):
    return next(row for row in report.rows(results) if row.figure.title == title)


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.results = {
            plan.THEIRS: {plan.SLEEP: [run_of("getattr", cpu_us=us) for us in (2.0, 2.2, 9.0)]},
            plan.OURS: {plan.SLEEP: [run_of("getattr", cpu_us=us) for us in (1.0, 1.1, 0.9)]},
        }

    def test_medians_are_compared(self):
        found = row("GETATTR, CPU", self.results)
        self.assertEqual((found.ours, found.theirs), (1.0, 2.2))
        self.assertAlmostEqual(found.ratio, 1.0 / 2.2)
        self.assertIs(found.met, True)

    def test_missed_target_is_said(self):
        self.results[plan.OURS][plan.SLEEP] = [run_of("getattr", cpu_us=1.2)]
        self.assertIs(row("GETATTR, CPU", self.results).met, False)
        self.assertIn("**missed**", report.markdown(self.results, {}))

    def test_without_virtiofsd_a_comparison_has_no_verdict(self):
        del self.results[plan.THEIRS]
        self.assertIsNone(row("GETATTR, CPU", self.results).met)

    def test_without_virtiofsd_an_absolute_target_has_one(self):
        results = {plan.OURS: {plan.IDLE: [run_of("idle")]}}
        self.assertIs(row("one idle device, memory", results).met, True)

    def test_plot_is_well_formed_and_shows_both_values(self):
        picked = report.plotted(self.results, "us/op")
        picture = xml.dom.minidom.parseString(report.bars("CPU < before", picked))
        words = [text.firstChild.data for text in picture.getElementsByTagName("text")]
        self.assertLessEqual({"CPU < before", "GETATTR", "2.2", "1"}, set(words))

    def test_figures_that_nobody_has_are_left_out(self):
        self.assertNotIn("64 KiB", report.markdown(self.results, {}))


if __name__ == "__main__":
    unittest.main()
