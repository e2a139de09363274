"""The package as a package: the page for all languages, types, and an installation."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, List, Type

import pytest

import entrepot
from entrepot import aio, errors
from entrepot._options import DEFAULT_SERVER
from server_process import ServerProcess

PACKAGE = Path(__file__).resolve().parent.parent
README = PACKAGE / "README.md"
PAGE = PACKAGE.parent.parent / "docs" / "CLIENTS.md"


def section(title: str) -> str:
    found = re.search(rf"^## \d+\. {title}$(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def methods_of_the_page() -> List[str]:
    rows = re.findall(r"^\| (`\w+\(.*?) \| ", section("Methods"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)\(", row)]


def codes_of_the_page() -> List[str]:
    text = section("Errors")
    server_codes = re.search(r"^`(malformed[^`]*)`", text, re.MULTILINE)
    assert server_codes is not None
    return server_codes[1].split() + re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize("client", [entrepot.Client, aio.Client], ids=["blocking", "asyncio"])
def test_the_client_has_exactly_the_methods_of_the_page(client: Type[Any]) -> None:
    public = {name for name in vars(client) if not name.startswith("_")}
    assert public - {"with_options", "server"} == set(methods_of_the_page())
    assert len(methods_of_the_page()) == 28


def test_both_clients_have_the_same_signatures() -> None:
    for name in methods_of_the_page():
        blocking = inspect.signature(getattr(entrepot.Client, name)).parameters
        assert inspect.signature(getattr(aio.Client, name)).parameters == blocking, name


def test_every_parameter_of_a_method_is_named_on_the_page() -> None:
    page = section("Methods")
    for name in methods_of_the_page():
        for parameter in list(inspect.signature(getattr(entrepot.Client, name)).parameters)[1:]:
            assert re.search(rf"\b{parameter}\b", page), f"{name}: {parameter}"


def test_every_method_is_documented() -> None:
    for client in (entrepot.Client, aio.Client):
        for name in methods_of_the_page():
            assert getattr(client, name).__doc__, name


def test_a_bound_method_shows_its_own_parameters() -> None:
    client = entrepot.Client("tcp://127.0.0.1:1")
    assert list(inspect.signature(client.get).parameters) == ["key", "ack"]


def test_every_code_of_the_page_has_a_class() -> None:
    classes = {
        cls.code: cls
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, errors.EntrepotError)
    }
    assert set(codes_of_the_page()) == set(classes) - {"error"}


def test_types_are_strict(tmp_path: Path) -> None:
    mypy = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path)],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
    )
    assert mypy.returncode == 0, mypy.stdout + mypy.stderr


def test_it_installs_into_a_fresh_environment(shared_server: ServerProcess, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    environment = tmp_path / "environment"
    # The machine's pyzmq, msgpack and setuptools serve, so that no network is needed.
    venv.create(environment, system_site_packages=True, with_pip=True)
    python = str(environment / "bin" / "python")
    install = [python, "-m", "pip", "install", "--no-index", "--no-build-isolation", str(source)]
    subprocess.run(install, check=True, capture_output=True, cwd=tmp_path)
    program = (
        "import sys, entrepot; client = entrepot.Client(sys.argv[1]); client.ping(); "
        "print(entrepot.__file__)"
    )
    ran = subprocess.run(
        [python, "-I", "-c", program, shared_server.endpoint],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert str(environment) in ran.stdout
    assert (Path(ran.stdout.strip()).parent / "py.typed").exists()


def test_the_readme_runs_as_printed(client: entrepot.Client) -> None:
    blocks = re.findall(r"^```python$(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        ran = subprocess.run(
            [sys.executable, "-c", block.replace(DEFAULT_SERVER, client.server)],
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "ENTREPOT_SERVER": client.server},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
