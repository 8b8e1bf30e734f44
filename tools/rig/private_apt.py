# SPDX-License-Identifier: Apache-2.0
"""A private apt: reads another suite of this machine's Debian mirror and leaves the system alone.

The mirror, its options and keyrings are taken from the machine's own sources; proxy and passwords
come from apt's own configuration, which stays in force.
"""
import os
import pathlib
import re
import shlex
import subprocess

import recipe

SOURCES_LIST = pathlib.Path("/etc/apt/sources.list")
SOURCES_FOLDER = pathlib.Path("/etc/apt/sources.list.d")
# Suites that are not the main archive of a release.
OTHER_ARCHIVES = re.compile(r"(-security|-updates|-backports.*|-proposed.*|/updates|/)$")


class AptError(Exception):
    """What went wrong and what the user can do about it."""


def main_archive(sources_list=SOURCES_LIST, sources_folder=SOURCES_FOLDER):
    """The machine's main Debian archive as deb822 fields: URIs, and options such as Signed-By."""
    mirror = os.environ.get("DPFS_DEBIAN_MIRROR")
    if mirror:
        keyring = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        return {"URIs": mirror} | ({"Signed-By": str(keyring)} if keyring.exists() else {})
    found = []
    if sources_list.is_file():
        found += one_line_sources(sources_list.read_text())
    if sources_folder.is_dir():
        for path in sorted(sources_folder.iterdir()):
            if path.suffix == ".list":
                found += one_line_sources(path.read_text())
            elif path.suffix == ".sources":
                found += deb822_sources(path.read_text())
    candidates = [source for source in found if is_main_archive(source)]
    # A vendor's repository may look the same; Debian's own says so in its address or keyring.
    candidates.sort(key=lambda source: "debian" not in source["URIs"] + source.get("Signed-By", ""))
    if not candidates:
        raise AptError("no Debian mirror in /etc/apt: the VM rig is made of Debian packages. "
                       "Name a mirror in the environment variable DPFS_DEBIAN_MIRROR (the address "
                       "that ends in /debian).")
    dropped = {"Types", "Suites", "Components", "Architectures", "Enabled"}
    return {name: value for name, value in candidates[0].items() if name not in dropped}


def is_main_archive(source):
    return ("deb" in source.get("Types", "").split()
            and source.get("Enabled", "yes").lower() not in {"no", "false", "0"}
            and "main" in source.get("Components", "").split()
            and any(not OTHER_ARCHIVES.search(suite) for suite in source.get("Suites", "").split()))


def one_line_sources(text):
    """Parses 'deb [signed-by=KEYRING] URI SUITE COMPONENT...' lines into deb822 fields."""
    sources = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if not match:
            continue
        options, uri, suite, components = match.groups()
        source = {"Types": "deb", "URIs": uri, "Suites": suite, "Components": components.strip()}
        for option in (options or "").split():
            name, _, value = option.partition("=")
            # 'arch' is Architectures in deb822; the others differ in capitals only.
            name = "Architectures" if name == "arch" else field_name(name)
            source[name] = value.replace(",", " ")
        sources.append(source)
    return sources


def field_name(name):
    """As apt's manual writes it: the names are case-insensitive."""
    return "-".join(part.capitalize() for part in name.split("-")).replace("Uris", "URIs")


def deb822_sources(text):
    """Parses stanzas of 'Name: value' with continuation lines; a value keeps its line breaks."""
    sources = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        source, name = {}, None
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t" and name:
                source[name] += "\n" + line
                continue
            name, _, value = line.partition(":")
            name = field_name(name)
            source[name] = value.strip()
        if source.get("URIs"):
            sources.append(source)
    return sources


class PrivateApt:
    """apt-get and apt-cache with state, lists, cache and sources in `folder`.

    `types` may be "deb deb-src", where sources are wanted, too.
    """

    def __init__(self, folder, source, suite=recipe.SUITE, types="deb"):
        self.folder = folder
        for part in ("lists/partial", "cache/archives/partial", "sources", "empty"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        # An empty status file: no package counts as installed, so dependencies are complete.
        (folder / "status").write_text("")
        fields = {"Types": types, **source, "Suites": suite, "Components": "main"}
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        (folder / "sources" / "rig.sources").write_text(text)
        self.options = []
        for name, value in {
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": folder / "sources",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": folder / "empty",
            "APT::Architecture": recipe.ARCHITECTURE,
            "APT::Architectures": recipe.ARCHITECTURE,
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            # The folder belongs to whoever runs this; apt's own download user cannot write there.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }.items():
            self.options += ["-o", f"{name}={value}"]

    def run(self, program, *arguments, on_line=None, folder=None):
        command = [program, *self.options, *map(str, arguments)]
        environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            child = subprocess.Popen(command, cwd=folder or self.folder, env=environment, text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise AptError(f"{program} is not there: the VM rig is made of Debian packages and "
                           "needs apt to fetch them") from None
        lines = []
        try:
            with child.stdout:
                for line in child.stdout:
                    lines.append(line.rstrip())
                    if on_line:
                        on_line(lines[-1])
        finally:
            if child.poll() is None:
                child.terminate()
            status = child.wait()
        if status != 0:
            said = [line for line in lines if line.startswith(("E:", "W:", "Err:"))] or lines
            raise AptError(f"'{program} {shlex.join(map(str, arguments[:3]))} ...' failed:\n  "
                           + "\n  ".join(said[-8:]))
        return lines

    def update(self):
        """Reads the suite's index. By default apt only warns about a failed download."""
        lines = self.run("apt-get", "update", "-o", "APT::Update::Error-Mode=any")
        if any(line.startswith("Err:") for line in lines):
            raise AptError("the package index could not be read:\n  " + "\n  ".join(lines[-6:]))

    def closure(self, packages):
        """Names of `packages` and of all they depend on."""
        lines = self.run("apt-get", "install", "--print-uris", "-qq", *packages)
        return [match[1] for line in lines if (match := re.match(r"'[^']*' ([^_ ]+)_", line))]

    def first_dependency(self, package):
        for line in self.run("apt-cache", "depends", package):
            if match := re.match(r"\s*Depends: (\S+)", line):
                return match[1]
        raise AptError(f"{package} depends on nothing: is it still a meta package?")

    def download(self, packages, on_package):
        """Downloads into the folder `debs` and returns the files. Calls on_package() after each."""
        folder = self.folder / "debs"
        folder.mkdir()
        self.run("apt-get", "download", *packages, folder=folder,
                 on_line=lambda line: on_package() if line.startswith("Get:") else None)
        return sorted(folder.glob("*.deb"))
