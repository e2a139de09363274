"""The vectors and docs/PROTOCOL.md belong together: citations and coverage."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Iterator, List, Set, Tuple

from harness import vectors

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "PROTOCOL.md").read_text()
CASES = vectors.load_all()

# The methods of section 9 and the searches of section 10, as the document's headings name them.
METHOD_HEADING = re.compile(r"^### ([a-z_]+(?: and [a-z_]+)?)$", re.MULTILINE)


def one_line(text: str) -> str:
    return " ".join(text.split())


def citations() -> Iterator[Tuple[str, str]]:
    for case in CASES:
        for number, step in enumerate(case.steps):
            yield f"{case.title} step {number}", step.get("cites", case.cites)


def documented_methods() -> Set[str]:
    return {name for heading in METHOD_HEADING.findall(DOCUMENT) for name in heading.split(" and ")}


def sent_calls() -> Iterator[Tuple[str, List[object]]]:
    for case in CASES:
        for step in case.steps:
            for item in step.get("send", []):
                if isinstance(item.get("call"), str):
                    yield item["call"], item["params"]


def test_every_cited_sentence_is_in_the_document() -> None:
    document = one_line(DOCUMENT)
    wrong = [f"{where}: {sentence}" for where, sentence in citations()
             if one_line(sentence) not in document]
    assert not wrong, "\n".join(wrong)


def is_whole(sentence: str) -> bool:
    """A sentence to its end, a row of a table, or a line of a grammar; never a few words."""
    grammar = any(sign in sentence for sign in (" = ", " < ", "→"))
    return len(sentence) >= 12 and (sentence.endswith(".") or sentence.startswith("|") or grammar)


def test_every_citation_is_whole() -> None:
    wrong = {sentence for _, sentence in citations() if not is_whole(sentence)}
    assert not wrong, "\n".join(sorted(wrong))


def test_every_method_of_the_document_has_vectors() -> None:
    methods = documented_methods()
    assert {"hello", "set", "append", "prepend", "find", "scan", "count"} <= methods
    assert methods <= {method for method, _ in sent_calls()}


def test_every_option_of_the_document_has_a_vector() -> None:
    missing = []
    for method in documented_methods():
        signature = re.search(rf"^    {method}\((.*?)\)(?:\s|$)", DOCUMENT,
                              re.MULTILINE | re.DOTALL)
        assert signature, f"{method} has no signature"
        options = re.search(r"\{(.*)\}", signature.group(1), re.DOTALL)
        if method == "transact" or options is None:
            continue
        sent = {name for call, params in sent_calls() if call == method
                for param in params if isinstance(param, dict) for name in param}
        missing += [f"{method}: {option}" for option in re.findall(r"[a-z_]+", options.group(1))
                    if option not in sent]
    assert not missing, "\n".join(sorted(missing))


def test_every_case_can_be_encoded() -> None:
    # References to saved values need a run; everything else of a request is encoded here.
    for case in CASES:
        scope = vectors.Scope("case0/")
        for step in filter(vectors.is_request, case.steps):
            if '"$saved"' not in json.dumps(step):
                vectors.step_body(scope, step)
                assert all(set(pattern) & {"result", "error", "one_of"}
                           for pattern in step["expect"]), case.title
