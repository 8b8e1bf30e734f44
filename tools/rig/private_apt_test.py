# SPDX-License-Identifier: Apache-2.0
"""Tests for private_apt.py: which mirror it takes from which apt sources."""
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import private_apt

DEBIAN_SOURCES = """\
Types: deb
# a comment
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

types: deb deb-src
uris: http://mirror.example/debian
suites: bookworm bookworm-updates
components: main contrib
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""


class MainArchive(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.list = pathlib.Path(folder.name) / "sources.list"
        self.folder = pathlib.Path(folder.name) / "sources.list.d"
        self.folder.mkdir()
        no_mirror = mock.patch.dict("os.environ")
        no_mirror.start()
        self.addCleanup(no_mirror.stop)
        private_apt.os.environ.pop("DPFS_DEBIAN_MIRROR", None)

    def found(self):
        return private_apt.main_archive(self.list, self.folder)

    def test_a_stanza_gives_its_mirror_and_key_block_and_security_is_passed_over(self):
        (self.folder / "debian.sources").write_text(DEBIAN_SOURCES)
        self.assertEqual(self.found()["URIs"], "http://mirror.example/debian")
        self.assertIn("BEGIN PGP", self.found()["Signed-By"])
        self.assertNotIn("Suites", self.found())

    def test_a_line_gives_its_mirror_and_options(self):
        self.list.write_text("# deb http://old.example/debian bookworm main\n"
                             "deb [arch=amd64 signed-by=/k.gpg trusted=yes] "
                             "http://m.example/debian bookworm main\n")
        self.assertEqual(self.found(), {"URIs": "http://m.example/debian", "Signed-By": "/k.gpg",
                                        "Trusted": "yes"})

    def test_a_vendors_repository_does_not_come_before_debian(self):
        (self.folder / "a-vendor.list").write_text("deb http://vendor.example/apt bookworm main\n")
        (self.folder / "debian.sources").write_text(DEBIAN_SOURCES)
        self.assertEqual(self.found()["URIs"], "http://mirror.example/debian")

    def test_a_disabled_stanza_does_not_count(self):
        disabled = DEBIAN_SOURCES.replace("uris:", "enabled: no\nuris:")
        (self.folder / "debian.sources").write_text(disabled)
        with self.assertRaises(private_apt.AptError):
            self.found()

    def test_without_any_source_the_error_names_the_variable_that_helps(self):
        with self.assertRaisesRegex(private_apt.AptError, "DPFS_DEBIAN_MIRROR"):
            self.found()


if __name__ == "__main__":
    unittest.main()
