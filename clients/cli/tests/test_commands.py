"""Every command through pipes: what it prints, in which format, with which exit status."""

from __future__ import annotations

import json
import time

from conftest import CommandLine

OK, SERVER_ERROR, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE = range(6)


def test_get_writes_exactly_the_bytes(entrepot: CommandLine) -> None:
    assert entrepot("set", "a", "hello").text == "created\n"
    assert entrepot("get", "a").out == b"hello"
    assert entrepot("set", "a", "-", stdin=b"line\n").text == "updated\n"
    assert entrepot("get", "a").out == b"line\n"


def test_an_absent_key_is_status_3(entrepot: CommandLine) -> None:
    ran = entrepot("get", "nothing")
    assert (ran.status, ran.out) == (NOT_FOUND, b"")
    assert ran.error == "entrepot: not found: nothing\n"
    assert entrepot("del", "nothing").status == NOT_FOUND
    assert entrepot("touch", "nothing", "5s").status == NOT_FOUND
    assert entrepot("mget", "nothing").status == NOT_FOUND
    assert entrepot("scan", "nothing").status == NOT_FOUND
    assert entrepot("find", "nothing").status == NOT_FOUND


def test_a_conflict_is_status_4(entrepot: CommandLine) -> None:
    entrepot("set", "a", "1")
    for words in (["--if-absent"], ["--if-version", "0"]):
        ran = entrepot("set", "a", "2", *words)
        assert (ran.status, ran.text) == (CONFLICT, "conflict\n")
    assert entrepot("set", "b", "2", "--if-present").status == CONFLICT
    assert entrepot("incr", "n", "5", "--max", "4").status == CONFLICT
    assert entrepot("del", "a", "--if-version", "1").status == CONFLICT
    assert entrepot("get", "a").out == b"1"


def test_a_server_error_is_status_1(entrepot: CommandLine) -> None:
    entrepot("set", "a", "text")
    ran = entrepot("incr", "a")
    assert ran.status == SERVER_ERROR
    assert ran.error.startswith("entrepot: wrong_type: ")
    assert entrepot("set", "$system", "1").status == SERVER_ERROR


def test_a_mistake_is_status_2_and_sends_nothing(entrepot: CommandLine) -> None:
    for words in ([], ["frobnicate"], ["get"], ["set", "a"], ["set", "a", "{", "--json"],
                  ["set", "a", "1", "--ttl", "soon"], ["set", "a", "@/nowhere/at/all"],
                  ["touch", "a"], ["touch", "a", "5s", "--permanent"], ["find"],
                  ["find", "a", "--equals", "b"], ["incr", "a", "many"], ["-o", "xml", "get", "a"],
                  ["ping", "--count", "0"], ["--server", "nonsense", "ping"],
                  ["--timeout", "x", "ping"], ["raw"], ["raw", "{}"], ["raw", "--hex", "9"],
                  ["del", "--prefix", "a", "--if-version", "1"]):
        ran = entrepot(*words)
        assert ran.status == USAGE, (words, ran)
        assert ran.error.startswith("entrepot: ") and ran.error.count("\n") == 1, (words, ran)
    assert "frobnicate" in entrepot("frobnicate").error
    assert "xml is not plain, json, jsonl or csv" in entrepot("-o", "xml", "get", "a").error
    assert entrepot("count").text == "0\n"


def test_no_server_is_status_5_and_said_quickly(entrepot: CommandLine) -> None:
    begin = time.monotonic()
    ran = entrepot("--server", "tcp://127.0.0.1:1", "get", "a")
    assert ran.status == UNREACHABLE
    assert ran.error == "entrepot: unreachable: Nothing is listening at tcp://127.0.0.1:1.\n"
    assert time.monotonic() - begin < 4


def test_values_come_as_text_json_file_and_stdin(entrepot: CommandLine, tmp_path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"\x00\xff")
    entrepot("set", "file", f"@{file}")
    assert entrepot("get", "file").out == b"\x00\xff"
    assert json.loads(entrepot("-o", "json", "get", "file").text)["value"] == {"$bin": "AP8="}
    entrepot("set", "literal", "@home", "--literal")
    assert entrepot("get", "literal").text == "@home"
    entrepot("set", "bytes", "text", "--bytes")
    assert json.loads(entrepot("-o", "json", "get", "bytes").text)["value"] == {"$bin": "dGV4dA=="}
    for text in ('{"a":[1,-2,2.5,true,null,"é"]}', "[1,2]", "18446744073709551615", "1.0", '""'):
        entrepot("set", "json", text, "--json")
        expected = "" if text == '""' else text
        assert entrepot("get", "json").text == expected
        assert f'"value":{text},' in entrepot("-o", "json", "get", "json").text


def test_words_with_brackets_are_words(entrepot: CommandLine) -> None:
    entrepot("set", "[a,b]", "[c,d]")
    assert entrepot("mget", "[a,b]").text == "[a,b]\t[c,d]\n"


def test_ttl(entrepot: CommandLine) -> None:
    entrepot("set", "a", "1", "--ttl", "2m")
    assert 60_000 < json.loads(entrepot("get", "a", "-o", "json").text)["ttl_ms"] <= 120_000
    entrepot("set", "a", "2", "--keep-ttl")
    assert "ttl_ms" in entrepot("get", "a", "-o", "json").text
    assert entrepot("touch", "a", "--permanent").text == "updated\n"
    assert "ttl_ms" not in entrepot("get", "a", "-o", "json").text
    entrepot("touch", "a", "5000")
    assert json.loads(entrepot("get", "a", "-o", "json").text)["ttl_ms"] <= 5000
    entrepot("set", "a", "3", "--expires-at-ms", "1")
    assert entrepot("get", "a").status == NOT_FOUND


def test_incr_and_append(entrepot: CommandLine) -> None:
    assert entrepot("incr", "n").text == "1\n"
    assert entrepot("incr", "n", "41").text == "42\n"
    assert entrepot("incr", "n", "--", "-2").text == "40\n"
    assert entrepot("incr", "n", "0.5").text == "40.5\n"
    assert entrepot("incr", "m", "1", "--initial", "10").text == "11\n"
    assert entrepot("append", "s", "bc").text == "2\n"
    assert entrepot("append", "s", "a", "--prepend").text == "3\n"
    assert entrepot("get", "s").text == "abc"


def test_previous_is_printed(entrepot: CommandLine) -> None:
    entrepot("set", "a", "old")
    assert entrepot("set", "a", "new", "--previous").text == "old\n"


def test_del_takes_many_keys_and_prefixes(entrepot: CommandLine) -> None:
    for key in ("a", "b", "p:1", "p:2", "q:1"):
        entrepot("set", key, "1")
    ran = entrepot("del", "a", "nothing", "b")
    assert (ran.status, ran.text) == (NOT_FOUND, "deleted\nnot_found\ndeleted\n")
    assert entrepot("del", "--prefix", "p:", "q:").text == "3\n"
    assert entrepot("count").text == "0\n"


def test_formats_of_lists(entrepot: CommandLine) -> None:
    entrepot("set", "a", "one\ttab\\")
    entrepot("set", "b", 'say "hi", twice')
    assert entrepot("scan").text == 'a\tone\\ttab\\\\\nb\tsay "hi", twice\n'
    document = json.loads(entrepot("scan", "-o", "json").text)
    assert [entry["key"] for entry in document] == ["a", "b"]
    assert [json.loads(line)["value"] for line in entrepot("scan", "-o", "jsonl").text.splitlines()
            ] == ["one\ttab\\", 'say "hi", twice']
    lines = entrepot("scan", "-o", "csv").text.splitlines()
    assert lines[0] == "key,value,version"
    assert lines[2].startswith('b,"say ""hi"", twice",')
    assert entrepot("scan", "--keys").text == "a\nb\n"
    assert json.loads(entrepot("scan", "--keys", "-o", "json").text) == ["a", "b"]
    assert entrepot("scan", "nothing", "-o", "json").text == "[]\n"


def test_formats_of_results(entrepot: CommandLine) -> None:
    created = json.loads(entrepot("set", "a", "1", "-o", "json").text)
    assert created["status"] == "created" and created["version"] > 0
    assert entrepot("count", "-o", "csv").text.splitlines()[0] == "count,version,version_end"
    conflict = json.loads(entrepot("set", "a", "2", "--if-absent", "-o", "json").text)
    assert (conflict["status"], conflict["value"]) == ("conflict", "1")
    missing = entrepot("mget", "a", "b", "-o", "jsonl")
    assert missing.status == NOT_FOUND
    assert json.loads(missing.text.splitlines()[1]) == {"key": "b", "version": 0}


def test_scan_and_find_and_count(entrepot: CommandLine) -> None:
    for number in range(25):
        entrepot("set", f"n:{number:02}", str(number), "--json")
    entrepot("set", "w:1", "red apple")
    entrepot("set", "w:2", "red beet")
    assert entrepot("scan", "n:", "--limit", "2", "--desc", "--keys").text == "n:24\nn:23\n"
    assert entrepot("find", "red", "--keys").text == "w:1\nw:2\n"
    assert entrepot("find", "red", "--key-prefix", "w:2", "--keys").text == "w:2\n"
    assert entrepot("find", "--equals", "7", "--json", "--keys").text == "n:07\n"
    assert entrepot("find", "--from", "7", "--to", "9", "--json", "--keys").text == "n:07\nn:08\n"
    assert entrepot("count").text == "27\n"
    assert entrepot("count", "w:").text == "2\n"
    assert entrepot("count", "--value-prefix", "red b").text == "1\n"
    assert entrepot("count", "--from", "20", "--json").text == "7\n"


def test_stats_and_ping(entrepot: CommandLine) -> None:
    assert all(line.count("\t") == 1 for line in entrepot("stats").text.splitlines())
    assert json.loads(entrepot("stats", "-o", "json").text)
    assert entrepot("ping", "--count", "3").text.count(" answered in ") == 3
    assert json.loads(entrepot("ping", "-o", "json").text)["server"] == entrepot.endpoint


def test_raw_shows_the_frames_in_hex_and_decoded(entrepot: CommandLine) -> None:
    ran = entrepot("raw", '["set", ["a", 1]]', '["get", ["a"]]')
    assert ran.status == OK
    assert "> frame 1, 21 bytes\n  00000000  94 00 01 a3 73 65 74 92  a1 61 01 94" in ran.text
    assert '  [0,1,"set",["a",1]]\n  [0,2,"get",["a"]]\n' in ran.text
    assert "< frame 1, " in ran.text
    assert '"status":"created"' in ran.text
    wrong = entrepot("raw", '["teleport"]')
    assert wrong.status == SERVER_ERROR
    assert "unknown_method" in wrong.text
    assert entrepot("raw", "--hex", "94 00 07 a4 70 69 6e 67 90").text.endswith(
        '  [1,7,null,{"status":"ok"}]\n')
    broken = entrepot("raw", "--hex", "c1")
    assert broken.status == SERVER_ERROR and "malformed" in broken.text
    silent = entrepot("--timeout", "200ms", "raw", "--hex", "93 02 a4 70 69 6e 67 90")
    assert silent.status == UNREACHABLE


def test_help_and_version(entrepot: CommandLine) -> None:
    assert entrepot("--version").text.startswith("entrepot ")
    ran = entrepot("--help")
    assert ran.status == OK
    for command in ("get set del incr append touch mget find scan count stats ping import export "
                    "raw shell").split():
        assert f"\n  {command} " in ran.text
        assert entrepot(command, "--help").status == OK
