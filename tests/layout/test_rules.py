"""The rules of the source tree, on this tree; and each of them on a planted violation."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import List

import pytest

import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ENTREPOT_BUILD_DIR", ROOT / "build"))


def commands_of_ctest() -> List[str]:
    listing = subprocess.run(["ctest", "--show-only=json-v1"], cwd=BUILD, check=True,
                             capture_output=True, text=True).stdout
    return [" ".join(test["command"]) for test in json.loads(listing)["tests"] if "command" in test]


class Tree:
    """A small project in a temporary folder."""

    def __init__(self, root: pathlib.Path):
        self.root = root

    def add(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    return Tree(tmp_path)


# --- This tree ----------------------------------------------------------------------------------

def test_a_file_includes_its_own_folder_and_lower_ranks_only() -> None:
    assert rules.layer_violations(ROOT) == []


def test_a_library_that_throws_is_included_by_one_file() -> None:
    assert rules.header_violations(ROOT) == []


def test_file_calls_are_in_one_file() -> None:
    assert rules.file_call_violations(ROOT) == []


def test_every_test_source_is_built() -> None:
    assert rules.unbuilt_tests(ROOT, (BUILD / "build.ninja").read_text()) == []


def test_every_python_test_is_run() -> None:
    assert rules.unregistered_python_tests(ROOT, commands_of_ctest()) == []


def test_every_path_in_the_documents_exists() -> None:
    assert rules.missing_paths(ROOT) == []


def test_no_file_names_documents_outside_of_this_tree() -> None:
    assert rules.outside_documents(ROOT) == []


# --- Planted violations -------------------------------------------------------------------------

@pytest.mark.parametrize("source, include, is_violation", [
    ("src/base/a.cc", "store/b.h", True),
    ("src/store/a.cc", "log/b.h", True),
    ("src/log/a.h", "engine/b.h", True),
    ("src/feed/a.cc", "server/b.h", True),
    ("src/store/a.cc", "store/b.h", False),
    ("src/engine/a.cc", "feed/b.h", False),
    ("src/server/a.cc", "base/b.h", False),
    ("src/base/a.cc", "fmt/format.h", False),
    ("src/extra/a.cc", "vector", True),
])
def test_layer_rule(tree: Tree, source: str, include: str, is_violation: bool) -> None:
    tree.add(source, f'#include <vector>\n#include "{include}"\n')
    assert bool(rules.layer_violations(tree.root)) == is_violation


@pytest.mark.parametrize("header", ["zmq.h", "zmq.hpp", "msgpack.hpp", "msgpack/unpack.hpp"])
def test_header_rule(tree: Tree, header: str) -> None:
    tree.add("src/server/a.cc", f"#include <{header}>\n")
    assert rules.header_violations(tree.root) == []
    tree.add("src/server/b.cc", f"#include <{header}>\n")
    assert len(rules.header_violations(tree.root)) == 1


@pytest.mark.parametrize("code, is_violation", [
    ("int fd = open(path, 0);", True),
    ("int fd = ::open(path, 0);", True),
    ("if (fsync(fd) != 0) return;", True),
    ("::rename(a, b);", True),
    ("return unlink(path);", True),
    ("bool open() const { return open_; }", False),
    ("Status rename(std::string a);", False),
    ("file.open(path);", False),
    ("file->rename(a);", False),
    ("std::filesystem::rename(a, b);", False),
    ("Reopen(path); reopen(path);", False),
    ("// fsync(fd) is not called here", False),
    ("/* open(\n) */", False),
    ('Log("open(2) failed");', False),
])
def test_file_call_rule(tree: Tree, code: str, is_violation: bool) -> None:
    tree.add("src/log/a.cc", code + "\n")
    tree.add("src/base/file.cc", "int fd = open(path, 0);\n")
    assert bool(rules.file_call_violations(tree.root)) == is_violation


def test_built_rule(tree: Tree) -> None:
    tree.add("tests/unit/a_test.cc", "")
    tree.add("tests/unit/ba_test.cc", "")
    tree.add("tests/fuzz/c_fuzz.cc", "")
    built = "build a.o: CXX /somewhere/tests/unit/ba_test.cc || order\n"
    assert sorted(rules.unbuilt_tests(tree.root, built)) == [
        "tests/fuzz/c_fuzz.cc is not built", "tests/unit/a_test.cc is not built"]


def test_python_rule(tree: Tree) -> None:
    tree.add("tests/system/test_a.py", "")
    tree.add("tests/system_more/test_b.py", "")
    commands = [f"python3 -m pytest -q {tree.root}/tests/system"]
    assert rules.unregistered_python_tests(tree.root, commands) == [
        "tests/system_more/test_b.py is not run by ctest"]


@pytest.mark.parametrize("text, is_violation", [
    ("See `docs/FORMAT.md`.", True),
    ("See `src/base/none.h`.", True),
    ("See [this](docs/FORMAT.md).", True),
    ("See [this](docs/HERE.md#part) and `docs/HERE.md`.", False),
    ("Programs are in `build/bin/`.", False),
    ("A [site](https://example.org/a.md) and `and/or`.", False),
    ("See `CHANGELOG.md`.", True),
])
def test_path_rule(tree: Tree, text: str, is_violation: bool) -> None:
    tree.add("docs/HERE.md", "Here.")
    tree.add("src/base/a.h", "")
    tree.add("README.md", text)
    assert bool(rules.missing_paths(tree.root)) == is_violation


@pytest.mark.parametrize("text, is_violation", [
    ("// See ../shared/" + "DESIGN.md.", True),
    ("# as /work" + "/main has it", True),
    ("// See docs/DESIGN.md.", False),
    ("std::shared_ptr<int> shared;", False),
])
def test_outside_document_rule(tree: Tree, text: str, is_violation: bool) -> None:
    tree.add("src/base/a.h", text)
    assert bool(rules.outside_documents(tree.root)) == is_violation
