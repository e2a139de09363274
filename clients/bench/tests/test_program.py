"""What entrepot-bench accepts, writes and returns."""

import json
import pathlib
import shutil

import jsonschema
import pytest

SCHEMA = pathlib.Path(__file__).resolve().parents[3] / "docs" / "benchmarks" / "schema.json"
SHORT = ("--warm-up", 0.1, "--duration", 0.5)


def echo_target(server):
    return f"zmq-echo://{server.address}"


@pytest.mark.parametrize("options, complaint", [
    (("--mix", "fetch=3"), "fetch"),
    (("--mix", "get=x"), "not a share"),
    (("--sweep", "colour=1"), "colour"),
    (("--sweep", "clients=0"), "clients=0"),
    (("--value-bytes", "9-3"), "9-3"),
    (("--slo", "p98<1ms"), "p98"),
    (("--slo", "p99<1"), "units"),
    (("--background", "get=1;speed=3"), "speed"),
    (("--clients", "0"), "clients"),
    (("--mix", "find=1", "--value-bytes", "8"), "find"),
    (("--verify", "--value-bytes", "8"), "--verify"),
    (("--client", "libzmq", "--idle", "3"), "libzmq"),
    (("--compare", "/nonexistent"), "nonexistent"),
])
def test_a_wrong_option_is_named(bench, options, complaint):
    done = bench.start("tcp://127.0.0.1:1", *options)
    assert done.returncode == 2
    assert complaint in done.stderr + done.stdout


@pytest.mark.parametrize("target", ["http://127.0.0.1:1", "tcp://127.0.0.1", "redis://nowhere:x"])
def test_a_wrong_target_is_named(bench, target):
    done = bench.start(target)
    assert done.returncode == 2
    assert target.split("://")[1].split(":")[0] in done.stderr


def test_a_server_that_is_not_there_is_said(bench):
    done = bench.start("tcp://127.0.0.1:1", *SHORT)
    assert done.returncode == 1
    assert "cannot connect to tcp://127.0.0.1:1" in done.stderr


def test_the_document_follows_its_schema(bench, epoll_echo):
    document = bench.run(echo_target(epoll_echo), *SHORT, "--server-pid", epoll_echo.pid,
                         "--sweep", "clients=1,5", "--background", "get=1;clients=2;rate=500",
                         "--idle", 3)
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    labels = [(row["swept"]["clients"], row["name"]) for row in document["rows"]]
    assert labels == [(count, name) for count in (1, 5) for name in ("main", "background", "idle")]
    for row in document["rows"]:
        assert row["cpu_ns_per_request"]["server"] > 0
        assert row["server_resident_bytes"]["end"] > 0


def test_the_page_stands_alone(bench, epoll_echo, tmp_path):
    page = tmp_path / "page.html"
    bench.run(echo_target(epoll_echo), *SHORT, "--html", page, "--sweep", "rate=500,1000,2000")
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert text.count("</svg>") == 4
    assert "src=" not in text and "<script" not in text and "<link" not in text
    for title in ("Latency by percentile", "Rate over time", "p99 over time", "against rate"):
        assert title in text


def test_objectives_decide_the_exit_status(bench, epoll_echo):
    target = echo_target(epoll_echo)
    calm = (*SHORT, "--clients", 1)  # Each side waits for the other: the rows are not void.
    assert bench.start(target, *calm, "--slo", "p50<10s,errors<1,rate>1").returncode == 0
    missed = bench.start(target, *calm, "--slo", "p50<1ns,rate>1")
    assert missed.returncode == 3
    assert "p50<1ns missed" in missed.stdout
    assert "rate>1 " not in missed.stdout


def test_a_comparison_shows_each_row(bench, epoll_echo, tmp_path):
    old = tmp_path / "old.json"
    bench.start(echo_target(epoll_echo), *SHORT, "--json", old, "--sweep", "clients=1,2")
    done = bench.start(echo_target(epoll_echo), *SHORT, "--compare", old, "--sweep", "clients=2,3")
    assert done.returncode == 0
    comparison = done.stdout[done.stdout.index("against "):]
    assert "clients=2 · main " in comparison and " %" in comparison
    assert "clients=3 · main (new)" in comparison


def test_a_file_of_another_schema_is_refused(bench, epoll_echo, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"schema": "something else"}', encoding="utf-8")
    done = bench.start(echo_target(epoll_echo), *SHORT, "--compare", other)
    assert done.returncode == 2
    assert "not a document" in done.stderr


def test_no_live_line_without_a_terminal(bench, epoll_echo):
    done = bench.start(echo_target(epoll_echo), "--warm-up", 0, "--duration", 2.5)
    assert done.returncode == 0
    assert done.stderr == ""


def test_libzmq_clients_work_against_both_echoes(bench, epoll_echo, zmq_echo):
    for server in (epoll_echo, zmq_echo):
        document = bench.run(echo_target(server), *SHORT, "--client", "libzmq", "--clients", 10,
                             "--outstanding", 4, "--body", 2)
        row = document["rows"][0]
        assert row["requests"] > 100
        assert row["errors"] == 0


def test_own_clients_work_against_both_echoes(bench, epoll_echo, zmq_echo):
    """Bodies of 1 and of 64 requests: short frames, and long ones."""
    for server in (epoll_echo, zmq_echo):
        for body in (1, 64):
            document = bench.run(echo_target(server), *SHORT, "--clients", 20, "--outstanding", 8,
                                 "--body", body, "--threads", 2)
            assert document["rows"][0]["requests"] > 1000
            assert document["errors_by_name"] == {}


def test_a_thousand_clients_connect_work_and_leave(bench, epoll_echo, zmq_echo):
    for server in (epoll_echo, zmq_echo):
        document = bench.run(echo_target(server), *SHORT, "--clients", 1000)
        row = document["rows"][0]
        assert row["errors"] == row["connection_failures"] == 0
        assert row["requests"] >= 1000


def test_idle_slow_and_reconnecting_clients_stand_beside_the_others(bench, epoll_echo):
    document = bench.run(echo_target(epoll_echo), *SHORT, "--idle", 20, "--slow", 5,
                         "--reconnecting", 5, "--bodies-per-connection", 3)
    rows = {row["name"]: row for row in document["rows"]}
    assert rows["main"]["requests"] > 100
    assert rows["main"]["errors"] == rows["main"]["connection_failures"] == 0
    assert rows["idle"]["requests"] == rows["slow"]["requests"] == 0
    assert rows["idle"]["connection_failures"] == 0
    assert rows["reconnecting"]["reconnects"] > 10
    # A connection carries three bodies; those around the edges of the window are not counted.
    assert rows["reconnecting"]["requests"] <= 3 * (rows["reconnecting"]["reconnects"] + 5)


@pytest.mark.parametrize("preset", ["ycsb-a", "ycsb-b", "ycsb-c"])
@pytest.mark.parametrize("distribution", ["uniform", "zipf", "latest"])
def test_ycsb_finds_what_was_loaded(bench, flawed_server, preset, distribution):
    document = bench.run(f"tcp://{flawed_server().address}", *SHORT, "--keys", 1000, "--mix",
                         preset, "--distribution", distribution, "--value-bytes", "10-200")
    row = document["rows"][0]
    assert row["requests"] > 50
    assert row["errors"] == row["misses"] == 0


@pytest.mark.parametrize("name, mix", [
    ("redis", "get=30,set=30,delete=20,increment=20"),
    ("redis", "find=100"),
    ("memcached", "get=40,set=40,delete=20"),
    ("memcached-meta", "get=40,set=40,delete=20"),
])
def test_peers_answer_as_the_model_says(bench, start_peer, name, mix):
    program = {"redis": "redis-server"}.get(name, "memcached")
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; `make bench-peers` installs it")
    system = start_peer(name)
    document = bench.run(system.target, *system.options, *SHORT, "--verify", "--keys", 1000,
                         "--clients", 10, "--outstanding", 4, "--body", 3, "--mix", mix)
    row = document["rows"][0]
    assert row["requests"] > 1000
    assert row["errors"] == row["wrong"] == 0
    assert document["server_stats"]
