"""run_mutants.py, on a small project: it tells a mutant that turns its test red from one that does
not, and refuses what would show nothing."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

RUNNER = pathlib.Path(__file__).resolve().parent / "run_mutants.py"

CMAKE_LISTS = """\
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_executable(sum_test sum_test.c)
"""
SUM_TEST = """\
static int Sum(int a, int b) {
  return a + b;
}
int main(int argc, char** argv) {
  (void)argv;
  if (argc > 1) return Sum(0, 0) == 0 ? 0 : 1;
  return Sum(2, 3) == 5 ? 0 : 1;
}
"""
HEADER = """\
Promise: 1, sums are right
Breaks: the sum is a difference
Target: sum_test
Test: TEST

"""
DIFF = """\
diff --git a/sum_test.c b/sum_test.c
--- a/sum_test.c
+++ b/sum_test.c
@@ -1,3 +1,3 @@
 static int Sum(int a, int b) {
-  return a + b;
+  return BODY;
 }
"""


class Project:
    """The project of a sum, with its mutants."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        (root / "tests" / "mutants").mkdir(parents=True)
        (root / ".gitignore").write_text("/build*/\n")
        (root / "CMakeLists.txt").write_text(CMAKE_LISTS)
        (root / "sum_test.c").write_text(SUM_TEST)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)

    def add_mutant(self, name: str, body: str, test: str = "sum_test",
                   header: str = HEADER) -> None:
        patch = header.replace("TEST", test) + DIFF.replace("BODY", body)
        (self.root / "tests" / "mutants" / f"{name}.patch").write_text(patch)

    def run(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, str(RUNNER), "--source", str(self.root)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    return Project(tmp_path)


def test_mutants_that_turn_their_tests_red_pass_one_after_the_other(project: Project) -> None:
    project.add_mutant("difference", "a - b")
    project.add_mutant("product", "a * b")
    done = project.run()
    assert done.returncode == 0, done.stdout
    assert "2 mutants, 0 survive." in done.stdout
    assert (project.root / "sum_test.c").read_text() == SUM_TEST


def test_mutant_whose_test_stays_green_is_told(project: Project) -> None:
    project.add_mutant("difference", "a - b")
    project.add_mutant("unseen", "a - b", test="sum_test zero")
    done = project.run()
    assert done.returncode == 1
    assert "sum_test zero stays green" in done.stdout
    assert "2 mutants, 1 survive." in done.stdout


def test_patch_that_does_not_apply_any_more_is_told(project: Project) -> None:
    project.add_mutant("stale", "a - b")
    source = project.root / "sum_test.c"
    source.write_text(SUM_TEST.replace("a + b", "b + a"))
    done = project.run()
    assert done.returncode == 1
    assert "does not apply any more" in done.stdout


def test_mutant_that_does_not_compile_is_told(project: Project) -> None:
    project.add_mutant("broken", "a - c")
    done = project.run()
    assert done.returncode == 1
    assert "does not compile" in done.stdout


def test_test_that_fails_without_a_patch_shows_nothing(project: Project) -> None:
    project.add_mutant("difference", "a - b")
    source = project.root / "sum_test.c"
    source.write_text(SUM_TEST.replace("== 5", "== 6"))
    done = project.run()
    assert done.returncode == 1
    assert "without any patch, sum_test does not pass" in done.stdout


def test_test_that_is_not_there_shows_nothing(project: Project) -> None:
    project.add_mutant("difference", "a - b", test="summ_test")
    done = project.run()
    assert done.returncode == 1
    assert "summ_test: there is no such program" in done.stdout


def test_filter_that_matches_no_test_shows_nothing(project: Project) -> None:
    project.add_mutant("difference", "a - b")
    source = project.root / "sum_test.c"
    nothing = '#include <stdio.h>\nint main(void) { puts("[  PASSED  ] 0 tests."); return 0; }\n'
    source.write_text(SUM_TEST[:SUM_TEST.index("int main")] + nothing)
    done = project.run()
    assert done.returncode == 1
    assert "without any patch, sum_test does not pass" in done.stdout


def test_header_without_a_test_is_an_error(project: Project) -> None:
    project.add_mutant("lazy", "a - b", header="Promise: 1\nBreaks: it\nTarget: sum_test\n\n")
    done = project.run()
    assert done.returncode == 1
    assert "lazy.patch: Test has to stand there" in done.stdout


def test_no_mutants_at_all_is_an_error(project: Project) -> None:
    assert project.run().returncode == 1
