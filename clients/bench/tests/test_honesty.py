"""The tester shows what is there: stalls, wrong answers, true percentiles."""

import math

import pytest

STALL = ("--stall-ms", 200, "--stall-every-ms", 1000)
SMALL = ("--keys", 100, "--warm-up", 0)


def test_open_loop_shows_a_stall_that_closed_loop_hides(bench, flawed_server):
    server = flawed_server(*STALL)
    target = f"tcp://{server.address}"
    closed = bench.run(target, *SMALL, "--clients", 1, "--duration", 5)
    opened = bench.run(target, *SMALL, "--clients", 1, "--duration", 5, "--rate", 200)
    closed_p99 = closed["rows"][0]["latency_ns"]["p99"]
    opened_p99 = opened["rows"][0]["latency_ns"]["p99"]
    assert closed["rows"][0]["latency_ns"]["max"] > 150e6  # The stall was there for it, too.
    assert closed_p99 < 50e6
    assert opened_p99 > 150e6


def test_requests_that_were_never_answered_count(bench, flawed_server):
    """A server that stands still for longer than the drain: its silence is in the percentiles."""
    server = flawed_server("--stall-ms", 6000, "--stall-every-ms", 1000)
    document = bench.run(f"tcp://{server.address}", *SMALL, "--clients", 1, "--rate", 100,
                         "--duration", 2, "--drain", 0.5)
    row = document["rows"][0]
    assert row["unfinished"] > 50
    assert row["latency_ns"]["p90"] > 500e6


@pytest.mark.parametrize("kind", ["get", "set", "delete", "find", "scan", "increment"])
def test_verify_finds_a_planted_wrong_answer(bench, flawed_server, kind):
    # Loading sets 100 keys; the lie about a set comes after it.
    server = flawed_server("--wrong-every", 150, "--lie", kind)
    mix = kind if kind in ("find", "scan") else "get=30,set=30,delete=20,increment=20"
    document = bench.run(f"tcp://{server.address}", *SMALL, "--verify", "--clients", 4,
                         "--outstanding", 4, "--duration", 2, "--mix", mix, status=1)
    row = document["rows"][0]
    assert row["wrong"] >= 1
    assert row["requests"] > 150
    assert any(text.startswith(kind) for text in document["wrong_answers"])


@pytest.mark.parametrize("mix", ["find=50,scan=50", "get=30,set=30,delete=20,increment=20"])
def test_verify_is_content_with_right_answers(bench, flawed_server, mix):
    server = flawed_server()
    document = bench.run(f"tcp://{server.address}", *SMALL, "--verify", "--clients", 4,
                         "--outstanding", 4, "--body", 3, "--duration", 1, "--mix", mix)
    row = document["rows"][0]
    assert row["requests"] > 100
    assert row["wrong"] == 0
    assert document["wrong_answers"] == []


@pytest.mark.parametrize("loop", [(), ("--rate", 5000, "--arrival", "poisson")])
def test_percentiles_agree_with_the_raw_samples(bench, epoll_echo, tmp_path, loop):
    raw = tmp_path / "raw.txt"
    document = bench.run(f"zmq-echo://{epoll_echo.address}", "--clients", 20, "--warm-up", 0.2,
                         "--duration", 1, "--raw-samples", raw, *loop)
    latency = document["rows"][0]["latency_ns"]
    samples = sorted(map(int, raw.read_text(encoding="utf-8").split()))
    assert len(samples) == latency["count"] > 1000
    assert latency["max"] == samples[-1]
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)):
        nearest_rank = samples[max(1, math.ceil(share * len(samples))) - 1]
        assert latency[name] == pytest.approx(nearest_rank, rel=0.005)
    assert latency["mean"] == pytest.approx(sum(samples) / len(samples), abs=1)


def test_an_open_loop_keeps_its_rate(bench, epoll_echo):
    document = bench.run(f"zmq-echo://{epoll_echo.address}", "--clients", 10, "--rate", 2000,
                         "--warm-up", 0, "--duration", 2)
    assert document["rows"][0]["requests"] == pytest.approx(4000, rel=0.02)
