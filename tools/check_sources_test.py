# SPDX-License-Identifier: Apache-2.0
"""Tests of check_sources.py: python3 -m unittest discover -s tools -p '*_test.py'"""
import unittest

from check_sources import LICENCE, LINES_MAX, check_text

HEAD = f"// {LICENCE}\n// Says what lives here.\n"


class CheckText(unittest.TestCase):
    def sentences(self, name, text):
        return [sentence for _, sentence in check_text(name, text)]

    def test_a_good_header_passes(self):
        self.assertEqual(check_text("src/base/x.h", HEAD + "#pragma once\n"), [])

    def test_a_good_script_passes(self):
        self.assertEqual(check_text("tools/x.sh", f"#!/bin/sh\n# {LICENCE}\n# Does it.\n"), [])

    def test_a_missing_licence_is_found(self):
        self.assertEqual(check_text("x.cc", "// Says what lives here.\n")[0][0], 1)

    def test_a_missing_description_is_found(self):
        self.assertIn("what lives", self.sentences("x.cc", f"// {LICENCE}\n\nint x;\n")[0])

    def test_a_header_without_pragma_once_is_found(self):
        self.assertIn("#pragma once", self.sentences("x.h", HEAD)[0])

    def test_using_namespace_in_a_header_is_found(self):
        self.assertEqual(
            [line for line, _ in check_text("x.h", HEAD + "#pragma once\nusing namespace dpfs;\n")],
            [4],
        )

    def test_tabs_and_trailing_spaces_are_found(self):
        self.assertEqual(
            [line for line, _ in check_text("x.cc", HEAD + "\tint x;\nint y; \n")], [3, 4]
        )

    def test_a_file_that_is_too_long_is_found(self):
        self.assertIn("second idea", self.sentences("x.cc", HEAD + "\n" * LINES_MAX)[0])

    def test_python_that_does_not_compile_is_found(self):
        self.assertIn("Python", self.sentences("x.py", f"# {LICENCE}\n# It.\ndef\n")[0])

    def test_other_files_are_not_looked_at(self):
        self.assertEqual(check_text("README.md", "\ttext "), [])


if __name__ == "__main__":
    unittest.main()
