"""What is written comes back as what it was."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest

from entrepot import Client, errors

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    0.1,
    math.inf,
    "",
    "text",
    "Entrepôt \U0001f4e6",
    b"",
    b"\x00\xff",
    b"text",
    [],
    [1, ["two", b"three"], {}],
    {},
    {"a": 1, 2: "b", None: [], b"bytes": True},
    msgpack.ExtType(5, b"data"),
    msgpack.Timestamp(1700000000, 5),
    "x" * 100_000,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:40])
def test_value_comes_back_equal_and_of_the_same_type(client: Client, value: Any) -> None:
    client.set("v", value)
    back = client.get("v")
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back(client: Client) -> None:
    client.set("v", math.nan)
    assert math.isnan(client.get("v"))


def test_text_that_is_not_utf8_is_written_back_byte_for_byte(client: Client) -> None:
    client.set("v", b"\xff\xfe".decode("utf-8", "surrogateescape"))
    value = client.get("v")
    assert isinstance(value, str)
    assert value.encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert client.append("v", value).length == 4


def test_map_with_keys_that_no_dict_can_have_is_still_read(client: Client) -> None:
    client.set("v", {(1, 2): "array as key"})
    assert client.get("v") == {(1, 2): "array as key"}


def test_keys_of_text_and_bytes_are_the_same_key(client: Client) -> None:
    client.set("é", 1)
    assert client.get("é".encode()) == 1
    client.set(b"\xff", 2)
    assert [item.key for item in client.scan("")] == ["é", b"\xff"]


@pytest.mark.parametrize("value", [object(), 2**64, {1, 2}], ids=["object", "2^64", "set"])
def test_what_cannot_be_packed_is_refused_before_it_is_sent(client: Client, value: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="cannot be packed"):
        client.set("v", value)
    assert client.get("v") is None


def test_a_value_that_contains_itself_is_refused(client: Client) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(errors.InvalidArgument):
        client.set("v", endless)
