"""Facts that belong beside every number: the machine, the programs' versions and their dates."""

import gzip
import os
import pathlib
import platform
import re
import subprocess


def describe_machine():
    """CPU, cores, memory and system of this machine, as a dictionary of strings."""
    cpu = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    release = re.search(r'^PRETTY_NAME="(.*)"$', _read("/etc/os-release"), re.MULTILINE)
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory.group(1)) / 2**20:.1f} GiB" if memory else "unknown",
        "system": f"{release.group(1) if release else 'Linux'}, Linux {platform.release()}",
    }


def describe_package(package):
    """Debian's version of a package and the date of that version, or None if it is not there."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                           capture_output=True, text=True, check=False)
    if query.returncode != 0:
        return None
    return {"version": query.stdout, "date": _package_date(package)}


def _package_date(package):
    """The day on the changelog's newest entry; "unknown" where documentation is not installed."""
    changelog = pathlib.Path("/usr/share/doc") / package / "changelog.Debian.gz"
    if not changelog.exists():
        return "unknown"
    with gzip.open(changelog, "rt", encoding="utf-8") as file:
        for line in file:
            if line.startswith(" -- "):
                return line.split(">", 1)[1].strip()
    return "unknown"


def _read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")
