"""docs/CLIENTS.md against the C++ client: every method of the table is one of Client."""

from __future__ import annotations

import pathlib
import re

from harness.server import ROOT

HEADERS = ROOT / "clients/cpp/include/entrepot"


def section(title: str) -> str:
    text = (ROOT / "docs/CLIENTS.md").read_text()
    found = re.search(rf"^## \d+\. {title}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/CLIENTS.md has no section {title}"
    return found.group(1)


def pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def methods() -> "list[str]":
    rows = [line.split("|")[1] for line in section("Methods").splitlines()
            if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)\(", row)]
    assert len(names) >= 20, names
    return names


def test_every_method_is_in_the_client() -> None:
    client = (HEADERS / "client.h").read_text()
    missing = [name for name in methods() if not re.search(rf"\b{pascal(name)}\(", client)]
    assert missing == []


def test_every_option_has_its_name() -> None:
    text = "".join(path.read_text() for path in pathlib.Path(HEADERS).glob("*.h"))
    # What C++ calls otherwise: a transaction's builder, and parameters that are arguments.
    other_names = {"conditions": "If(", "otherwise": "Else(", "function": "change"}
    for line in section("Methods").splitlines():
        for options in re.findall(r"\[([a-z_, ]+)\]", line):
            for option in options.split(", "):
                assert other_names.get(option, option) in text, option


def test_every_error_code_has_its_name() -> None:
    names = (ROOT / "clients/cpp/src/status.cc").read_text()
    errors = section("Errors")
    codes = re.search(r"^`([a-z_\s]+)`$", errors, re.MULTILINE)
    assert codes
    own = re.findall(r"^\| `(\w+)` \|", errors, re.MULTILINE)
    for code in codes.group(1).split() + own:
        assert f'"{code}"' in names, code
