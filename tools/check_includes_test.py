# SPDX-License-Identifier: Apache-2.0
"""Tests of check_includes.py: python3 -m unittest discover -s tools -p '*_test.py'"""
import pathlib
import tempfile
import unittest

import check_includes


class CheckFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source_root = pathlib.Path(folder.name) / "src"
        for header in (
            "base/result.h",
            "fuse/wire.h",
            "fuse/session.h",
            "io/reactor.h",
            "backend/null/tree.h",
            "backend/local/file.h",
            "transport/vhost_user/protocol.h",
        ):
            self.write(header, "#pragma once\n")

    def write(self, name, text):
        path = self.source_root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def check(self, name, text):
        return check_includes.check_file(self.source_root, self.write(name, text))

    def assert_refused(self, name, text, reason):
        findings = self.check(name, text)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(reason, findings[0])

    def test_lower_rooms_and_the_system_are_allowed(self):
        self.assertEqual(
            self.check(
                "backend/null/null.cc",
                '#include <vector>\n#include "base/result.h"\n'
                '#include "io/reactor.h"\n#include "fuse/session.h"\n'
                '#include "backend/null/tree.h"\n',
            ),
            [],
        )

    def test_a_room_above_is_refused_with_its_line(self):
        self.assert_refused(
            "fuse/session.cc",
            '// x\n#include "io/reactor.h"\n',
            "src/fuse/session.cc:2: fuse/ must not see io/",
        )

    def test_siblings_are_refused(self):
        self.assert_refused(
            "backend/null/null.cc",
            '#include "backend/local/file.h"\n',
            "must not see backend/local/",
        )

    def test_the_lowest_room_sees_nothing(self):
        self.assert_refused("base/op.cc", '#include "fuse/wire.h"\n', "it sees nothing")

    def test_the_driver_sees_layouts_and_nothing_that_acts(self):
        self.assertEqual(
            self.check(
                "driver/tenant.cc",
                '#include "fuse/wire.h"\n' '#include "transport/vhost_user/protocol.h"\n',
            ),
            [],
        )
        self.assert_refused(
            "driver/tenant.cc", '#include "fuse/session.h"\n', "driver/ must not see fuse/"
        )

    def test_the_daemon_sees_all(self):
        self.assertEqual(
            self.check(
                "daemon/main.cc", '#include "backend/local/file.h"\n#include <toml++/toml.h>\n'
            ),
            [],
        )

    def test_relative_paths_are_refused(self):
        self.assert_refused("fuse/session.cc", '#include "wire.h"\n', "there is no src/wire.h")

    def test_our_own_in_angle_brackets_is_refused(self):
        self.assert_refused(
            "fuse/session.cc", "#include <base/result.h>\n", 'write "base/result.h"'
        )

    def test_heavy_headers_stay_where_they_belong(self):
        self.assert_refused(
            "fuse/session.cc",
            "#include <nlohmann/json.hpp>\n",
            "fuse/ must not include the heavy header",
        )
        self.assert_refused("base/log.h", "#include <spdlog/spdlog.h>\n", "belongs into .cc files")
        self.assertEqual(self.check("base/log.cc", "#include <spdlog/spdlog.h>\n"), [])

    def test_a_file_in_no_room_is_refused(self):
        self.assert_refused("backend/stray.cc", "", "in no room")
        self.assert_refused("misc/stray.cc", "", "in no room")


if __name__ == "__main__":
    unittest.main()
