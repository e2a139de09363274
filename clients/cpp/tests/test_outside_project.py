"""The installed client, used by projects that know nothing of this tree: CMake and pkg-config."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
from typing import Iterator, List, Mapping, Optional

import pytest
from harness.server import ROOT, start_server

BUILD_DIR = pathlib.Path(os.environ.get("ENTREPOT_BUILD_DIR", ROOT / "build"))
PROJECT = pathlib.Path(__file__).resolve().parent / "outside"
EXPECTED = "user:Ada\nuser:Edsger\nuser:Grace\n"


def run(command: List[str], environment: Optional[Mapping[str, str]] = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True,
                            env={**os.environ, **(environment or {})})
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("prefix")
    run(["cmake", "--install", str(BUILD_DIR), "--prefix", str(folder),
         "--component", "client-cpp"])
    return folder


@pytest.fixture(scope="module")
def sanitizer() -> List[str]:
    """The flags that a program needs to link a library built with a sanitizer."""
    cache = (BUILD_DIR / "CMakeCache.txt").read_text()
    value = re.search(r"^ENTREPOT_SANITIZE:STRING=(.*)$", cache, re.MULTILINE)
    return [f"-fsanitize={value.group(1)}"] if value and value.group(1) else []


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with start_server() as server:
        yield server.endpoint


def test_find_package(prefix: pathlib.Path, sanitizer: List[str], endpoint: str,
                      tmp_path: pathlib.Path) -> None:
    run(["cmake", "-S", str(PROJECT), "-B", str(tmp_path), f"-DCMAKE_PREFIX_PATH={prefix}",
         "-DCMAKE_CXX_FLAGS=" + " ".join(sanitizer)])
    run(["cmake", "--build", str(tmp_path)])
    assert run([str(tmp_path / "outside"), endpoint]) == EXPECTED


def test_pkg_config(prefix: pathlib.Path, sanitizer: List[str], endpoint: str,
                    tmp_path: pathlib.Path) -> None:
    packages = next(prefix.glob("lib*/**/pkgconfig"))
    flags = run(["pkg-config", "--cflags", "--libs", "entrepot-client"],
                {"PKG_CONFIG_PATH": str(packages)}).split()
    program = tmp_path / "outside"
    run(["c++", "-std=c++20", "-DMSGPACK_NO_BOOST", str(PROJECT / "main.cc"), "-o", str(program),
         *flags, *sanitizer])
    assert run([str(program), endpoint]) == EXPECTED


def test_nothing_else_is_installed_with_it(prefix: pathlib.Path) -> None:
    installed = {path.name for path in prefix.rglob("*") if path.is_file()}
    headers = {path.name for path in (ROOT / "clients/cpp/include/entrepot").glob("*.h")}
    assert headers <= installed
    others = installed - headers
    assert all(name.endswith((".a", ".cmake", ".pc")) for name in others), others
