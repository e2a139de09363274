"""Every method of the client against a real server."""

from __future__ import annotations

import itertools

import pytest

from entrepot import Client, Condition, Entry, Item, Operation, errors
from entrepot._update import Update


def test_hello_tells_server_limits_and_features(client: Client) -> None:
    hello = client.hello()
    assert hello.protocol == 1
    assert len(hello.history) == 16
    assert hello.limits["key_bytes"] >= 1
    assert "find" in hello.features
    assert hello.endpoints["listen"] == [client.server]


def test_ping_returns(client: Client) -> None:
    assert client.ping() is None


def test_missing_key_is_none(client: Client) -> None:
    assert client.get("nothing") is None
    assert client.entry("nothing") is None


def test_set_tells_created_then_updated(client: Client) -> None:
    first = client.set("a", 1)
    second = client.set("a", 2, previous=True)
    assert first.status == "created"
    assert second.status == "updated"
    assert (second.value, second.previous_version) == (1, first.version)
    assert client.get("a") == 2


def test_entry_gives_value_version_and_ttl(client: Client) -> None:
    written = client.set("a", "x", ttl_ms=60_000)
    entry = client.entry("a")
    assert entry is not None
    assert (entry.key, entry.value, entry.version) == ("a", "x", written.version)
    assert entry.ttl_ms is not None and 0 < entry.ttl_ms <= 60_000


def test_entry_tells_a_nil_value_from_no_value(client: Client) -> None:
    client.set("a", None)
    assert client.get("a") is None
    entry = client.entry("a")
    assert entry is not None and entry.value is None


def test_entry_unless_version_is_unchanged(client: Client) -> None:
    version = client.set("a", "x").version
    entry = client.entry("a", unless_version=version)
    assert entry == Entry("a", None, version, None, unchanged=True)


def test_conflict_is_a_result_with_what_is_there(client: Client) -> None:
    version = client.set("a", "theirs").version
    result = client.set("a", "mine", if_version=version + 1000)
    assert result.conflict
    assert (result.value, result.version) == ("theirs", version)
    assert client.set("a", "mine", if_absent=True).conflict
    assert client.set("b", "mine", if_present=True).conflict


def test_keep_ttl_and_plain_set(client: Client) -> None:
    client.set("a", 1, ttl_ms=60_000)
    client.set("a", 2, keep_ttl=True)
    kept = client.entry("a")
    assert kept is not None and kept.ttl_ms is not None
    client.set("a", 3)
    cleared = client.entry("a")
    assert cleared is not None and cleared.ttl_ms is None


def test_delete(client: Client) -> None:
    assert client.delete("a").status == "not_found"
    version = client.set("a", 1).version
    assert client.delete("a", if_version=version + 1000).conflict
    deleted = client.delete("a", previous=True)
    assert (deleted.status, deleted.value) == ("deleted", 1)
    assert client.get("a") is None


def test_increment(client: Client) -> None:
    assert client.increment("n").value == 1
    assert client.increment("n", 41).value == 42
    assert client.increment("n", max=42).conflict
    assert client.increment("f", 0.5, initial=1).value == 1.5
    client.set("text", "x")
    with pytest.raises(errors.WrongType):
        client.increment("text")


def test_append_and_prepend(client: Client) -> None:
    assert client.append("s", "b").status == "created"
    assert client.append("s", "c").length == 2
    assert client.prepend("s", "a").length == 3
    assert client.get("s") == "abc"


def test_touch(client: Client) -> None:
    assert client.touch("a", 1000).status == "not_found"
    client.set("a", 1)
    assert client.touch("a", 60_000).status == "updated"
    entry = client.entry("a")
    assert entry is not None and entry.ttl_ms is not None
    client.touch("a", None)
    permanent = client.entry("a")
    assert permanent is not None and permanent.ttl_ms is None


def test_get_many_keeps_the_order_asked(client: Client) -> None:
    version = client.set("a", 1).version
    client.set("b", None)
    result = client.get_many(["b", "nothing", "a"])
    assert len(result) == 3
    assert result[0] is not None and result[0].value is None
    assert result[1] is None
    assert result[2] == Item("a", 1, version)


def test_transact_commits_all_or_nothing(client: Client) -> None:
    client.set("stock", 1)

    def sell() -> str:
        return client.transact(
            conditions=[Condition.value("stock", ">", 0)],
            then=[Operation.increment("stock", -1), Operation.append("log", "sold;")],
            otherwise=[Operation.get("stock")],
        ).status

    assert sell() == "committed"
    assert sell() == "rejected"
    assert client.get("stock") == 0
    assert client.get("log") == "sold;"


def test_transact_gives_a_result_for_each_operation(client: Client) -> None:
    result = client.transact(
        [
            Operation.set("a", "x", previous=True),
            Operation.get("a"),
            Operation.prepend("b", "12"),
            Operation.touch("nothing", 5),
            Operation.delete("nothing else"),
        ]
    )
    assert result.committed and result.results is not None
    assert [one and (one.status, one.value, one.length) for one in result.results] == [
        ("created", None, None),
        ("found", "x", None),
        ("created", None, 2),
        ("not_found", None, None),
        ("not_found", None, None),
    ]


def test_find_walks_every_page_in_the_order_of_values(client: Client) -> None:
    for number in range(25):
        client.set(f"key{number:02}", f"value{24 - number:02}")
    client.set("other", "elsewhere")
    items = list(client.find("value", page_limit=4))
    assert [item.value for item in items] == [f"value{number:02}" for number in range(25)]
    assert all(item.version is not None for item in items)
    descending = client.find("value", order="desc", values=False, page_limit=7)
    assert [item.key for item in descending] == [f"key{number:02}" for number in range(25)]
    assert [item.key for item in client.find({"equals": "elsewhere"})] == ["other"]


def test_find_page_hands_out_a_cursor(client: Client) -> None:
    for number in range(3):
        client.set(f"k{number}", "v")
    page = client.find_page("v", limit=2)
    assert page.status == "found" and len(page.items) == 2 and page.cursor is not None
    rest = client.find_page("v", limit=2, cursor=page.cursor)
    assert [item.key for item in page.items + rest.items] == ["k0", "k1", "k2"]


def test_scan_walks_every_page_in_the_order_of_keys(client: Client) -> None:
    for number in range(25):
        client.set(f"user:{number:02}", number)
    client.set("zebra", 1)
    assert [item.value for item in client.scan("user:", page_limit=4)] == list(range(25))
    first = itertools.islice(client.scan("user:", order="desc"), 1)
    assert [item.key for item in first] == ["user:24"]
    assert client.scan_page("nothing").status == "not_found"


def test_count(client: Client) -> None:
    for number in range(10):
        client.set(f"k{number}", "odd" if number % 2 else "even")
    assert client.count().count == 10
    assert client.count(key_prefix="k1").count == 1
    assert client.count(query="odd").count == 5


def test_delete_prefix(client: Client) -> None:
    for number in range(10):
        client.set(f"k{number}", number)
    first = client.delete_prefix("k", limit=4)
    assert (first.deleted, first.more) == (4, True)
    assert client.delete_prefix("k").deleted == 6


def test_sync_and_stats(client: Client) -> None:
    version = client.set("a", 1).version
    assert client.sync() >= version
    assert len(client.stats()) > 0


def test_update_starts_again_when_others_write(client: Client) -> None:
    client.set("n", 1, ttl_ms=60_000)
    seen = []

    def add_one(value: int) -> int:
        seen.append(value)
        if len(seen) == 1:
            client.increment("n", 10)
        return value + 1

    item = client.update("n", add_one)
    assert seen == [1, 11]
    assert item.value == 12 == client.get("n")
    entry = client.entry("n")
    assert entry is not None and entry.ttl_ms is not None and entry.version == item.version


def test_update_of_nothing_creates(client: Client) -> None:
    assert client.update("n", lambda value: "new" if value is None else "old").value == "new"


def test_update_whose_function_fails_writes_nothing(client: Client) -> None:
    client.set("n", 1)
    with pytest.raises(ZeroDivisionError):
        client.update("n", lambda value: value // 0)
    assert client.get("n") == 1


def test_update_that_never_succeeds_ends_at_the_deadline(client: Client) -> None:
    def disturb(value: object) -> int:
        client.increment("n")
        return 0

    client.set("n", 0)
    with pytest.raises(errors.Timeout):
        client.with_options(timeout_ms=300).update("n", disturb)


def test_update_without_time_left_says_why() -> None:
    rounds = Update("n", timeout_ms=100, now=5.0)
    assert 0 < rounds.remaining_ms(5.09) <= 10.1
    with pytest.raises(errors.Timeout, match="others changed 'n' faster"):
        rounds.remaining_ms(5.1)


def test_errors_of_the_server_have_classes(client: Client) -> None:
    with pytest.raises(errors.InvalidArgument):
        client.set("a", 1, ttl_ms=0)
    with pytest.raises(errors.Denied) as denied:
        client.set("$system", 1)
    assert denied.value.code == "denied"
    assert denied.value.retry == "never"
    assert not denied.value.maybe_applied
    with pytest.raises(errors.TooLarge):
        client.set("k" * 2000, 1)


def test_a_key_is_text_or_bytes(client: Client) -> None:
    with pytest.raises(errors.InvalidArgument, match="int"):
        client.get(5)  # type: ignore[arg-type]
