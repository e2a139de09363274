"""The rules of the source tree that a program can check. Each returns its violations as lines.

A rule is a function over a root folder, so that test_rules.py can plant a violation in a small tree
and see that it is found.
"""

from __future__ import annotations

import pathlib
import re
from typing import Dict, Iterator, List, Sequence, Tuple

# A file includes its own folder and those of lower rank; equal ranks never include each other.
RANKS: Dict[str, int] = {"base": 0, "protocol": 1, "store": 1, "log": 1, "zmtp": 1, "feed": 2,
                         "engine": 3, "server": 4}

# Headers that one file of src/ may include at most: exceptions and types of a library stop there.
HEADERS_OF_ONE_FILE: Dict[str, str] = {"msgpack": r"msgpack(\.hpp|/.*)", "zmq": r"zmq(_addon)?\.h(pp)?"}

FILE_CALLS_FILE = "src/base/file.cc"
FILE_CALLS = ("open", "openat", "creat", "pread", "pwrite", "preadv", "pwritev", "fsync", "fdatasync",
              "sync_file_range", "rename", "renameat", "unlink", "unlinkat", "ftruncate", "truncate",
              "fallocate", "posix_fallocate", "flock", "mkdir", "rmdir", "opendir")

SOURCE_SUFFIXES = (".h", ".cc", ".c")

# Words of documents that are not part of this tree.
OUTSIDE_DOCUMENTS = re.compile(r"(?<![\w-])shared/(DESIGN|PROTOCOL|STYLE)\b|/work/|\.\./shared\b")
TEXT_SUFFIXES = SOURCE_SUFFIXES + (".md", ".py", ".txt", ".cmake", ".json", ".js", ".toml", ".sh", "")
# Made by programs, not by us.
SKIPPED_FOLDERS = re.compile(r"^(build.*|node_modules|__pycache__|\.git|\.\w+_cache|entrepot-data)$"
                             r"|\.egg-info$")

PATH_SUFFIXES = r"(?:md|h|cc|c|py|js|json|txt|toml|sh|html|1)"


def files_of(root: pathlib.Path, folder: str = "") -> Iterator[Tuple[str, pathlib.Path]]:
    """Every file below `folder` that belongs to the project, with its path from the root."""
    pending = [root / folder]
    while pending:
        for path in sorted(pending.pop().glob("*")):
            if SKIPPED_FOLDERS.search(path.name):
                continue
            if path.is_dir():
                pending.append(path)
            else:
                yield path.relative_to(root).as_posix(), path


def sources_of(root: pathlib.Path, folder: str) -> Iterator[Tuple[str, str]]:
    for name, path in files_of(root, folder):
        if path.suffix in SOURCE_SUFFIXES:
            yield name, path.read_text(encoding="utf-8")


def includes_of(text: str) -> List[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def code_of(text: str) -> str:
    """The text without comments, strings and character literals."""
    token = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\''
    return re.sub(token, " ", text, flags=re.DOTALL)


def layer_violations(root: pathlib.Path) -> List[str]:
    violations = []
    for name, text in sources_of(root, "src"):
        folder = name.split("/")[1]
        if folder not in RANKS:
            violations.append(f"{name}: {folder} has no rank")
            continue
        for include in includes_of(text):
            other = include.split("/")[0]
            if "/" in include and other in RANKS and other != folder:
                if RANKS[other] >= RANKS[folder]:
                    violations.append(f"{name}: a file of {folder} includes {include}")
    return violations


def header_violations(root: pathlib.Path) -> List[str]:
    users: Dict[str, List[str]] = {library: [] for library in HEADERS_OF_ONE_FILE}
    for name, text in sources_of(root, "src"):
        for library, pattern in HEADERS_OF_ONE_FILE.items():
            if any(re.fullmatch(pattern, include) for include in includes_of(text)):
                users[library].append(name)
    return [f"{library} is included by more than one file: {', '.join(names)}"
            for library, names in users.items() if len(names) > 1]


def file_call_violations(root: pathlib.Path) -> List[str]:
    """Calls of the functions named; methods, qualified names and declarations are others'."""
    call = re.compile(r"(?P<before>\w+\s+)?(?<![\w.:>])(?:::)?\b(?P<name>" + "|".join(FILE_CALLS) +
                      r")\s*\(\s*[^\s)]")
    violations = []
    for name, text in sources_of(root, "src"):
        if name == FILE_CALLS_FILE:
            continue
        for found in call.finditer(code_of(text)):
            if (found.group("before") or "return").strip() in ("return", "else", "do"):
                violations.append(f"{name}: calls {found.group('name')}()")
    return violations


def unbuilt_tests(root: pathlib.Path, build_file: str) -> List[str]:
    """Test sources that `build_file`, the text of build.ninja, does not compile."""
    compiled = set(re.findall(r"/(tests/\S+\.cc)\b", build_file))
    return [f"{name} is not built" for name, _ in files_of(root, "tests")
            if re.search(r"_(test|fuzz|bench)\.cc$", name) and name not in compiled]


def unregistered_python_tests(root: pathlib.Path, registered: Sequence[str]) -> List[str]:
    """test_*.py files in no folder that CTest runs; `registered` are the commands it runs."""
    commands = "\n".join(registered)
    violations = []
    for name, path in files_of(root):
        if not re.match(r"test_\w+\.py$", path.name):
            continue
        folders = [parent.as_posix() for parent in path.parents if root in [parent, *parent.parents]]
        if not any(re.search(re.escape(folder) + r"(?![\w/-])", commands)
                   for folder in folders + [path.as_posix()]):
            violations.append(f"{name} is not run by ctest")
    return violations


def missing_paths(root: pathlib.Path) -> List[str]:
    """Paths that README.md and docs/ name in `code` or as a link, and that are not there."""
    documents = [path for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]
                 if path.exists()]
    top = {path.name for path in root.iterdir()}
    violations = []
    for document in documents:
        text = document.read_text(encoding="utf-8")
        named = set(re.findall(r"`([\w./-]+)`", text))
        linked = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)
                  if not re.match(r"[a-z]+:", target)} - {""}
        for path in sorted(named):
            is_path = path.split("/")[0] in top and "/" in path
            is_path = is_path or re.fullmatch(rf"[\w-]+\.{PATH_SUFFIXES}", path) is not None and (
                path.split(".")[0].isupper())
            generated = re.match(r"(build|entrepot-data)\b", path)
            if is_path and not generated and not exists_from(path, root, document.parent):
                violations.append(f"{document.name} names {path}, which is not there")
        for path in sorted(linked):
            if not (document.parent / path).exists():
                violations.append(f"{document.name} links to {path}, which is not there")
    return violations


def exists_from(path: str, *folders: pathlib.Path) -> bool:
    return any((folder / path).exists() for folder in folders)


def outside_documents(root: pathlib.Path) -> List[str]:
    violations = []
    for name, path in files_of(root):
        if path.suffix not in TEXT_SUFFIXES or name.startswith("tests/layout/"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # Not text: a corpus or golden file.
        for number, line in enumerate(text.splitlines(), 1):
            if OUTSIDE_DOCUMENTS.search(line):
                violations.append(f"{name}:{number}: names a document outside of this tree")
    return violations
