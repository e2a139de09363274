"""Conformance tests: the vectors of tests/vectors against a real server."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests" / "support", ROOT / "clients" / "python"):
    sys.path.insert(0, str(folder))
