"""The tables of `make bench` and `make bench-peers`: what counts, medians, goals, and what is said."""

import types

import pytest

from suite import measure, report, rows, starts, systems, watching

CASES = [rows.Case("ours", "entrepot", ()), rows.Case("theirs", "redis", ())]


def make_row(**changes):
    goal = rows.Goal("at least 2 x theirs", "ours", "rate", 2, "theirs")
    return rows.Row("1", "a row", ("rate", "server_cpu_ns"), CASES, [goal], **changes)


def make_main(busy=0.99, errors=0, void=None, **figures):
    return {"errors": errors, "wrong": 0, "void": void,
            "busy_cores": {"server": busy, "tester": 0.5}, **figures}


@pytest.mark.parametrize("main, counts", [
    (make_main(), True),
    (make_main(busy=0.94), False),
    (make_main(errors=1), False),
    (make_main(void="the tester was the limit"), False),
])
def test_a_throughput_round_counts_only_if_the_server_was_the_limit(main, counts):
    assert (measure.why_not(make_row(), main) is None) == counts


def test_other_rounds_do_not_need_a_busy_core():
    assert measure.why_not(make_row(throughput=False), make_main(busy=0.1)) is None


@pytest.mark.parametrize("rate, counts", [(49_000, True), (40_000, False)])
def test_an_open_loop_counts_only_if_the_server_kept_up(rate, counts):
    main = make_main(rate=rate, rate_offered=50_000)
    assert (measure.why_not(make_row(throughput=False), main) is None) == counts


class Machines:
    """A launcher and a tester that only note which case asked which server."""

    core = 0

    def __init__(self):
        self.asked = []
        self.running = 0

    def start(self, name, options):
        self.running += 1
        return types.SimpleNamespace(name=name, stop=self._stop)

    def _stop(self):
        self.running -= 1

    def run(self, system, *options, core):
        self.asked.append((system, "--no-load" in options))
        return {"rows": [{"name": "main", "rate": 1, **make_main()}]}

    def command(self, *_, core):
        return ["command"]


def test_cases_of_a_system_share_a_server_unless_one_needs_its_own():
    cases = [rows.Case("get", "entrepot", ()), rows.Case("set", "entrepot", ()),
             rows.Case("set beside finds", "entrepot", (), own_server=True)]
    machines = Machines()
    measure.run_row(rows.Row("2", "", ("rate",), cases), machines, machines, rounds=2,
                    seconds=1, say=lambda text: None)
    (get, _), (set_, _), (finds, _) = machines.asked[:3]
    assert get is set_ and get is not finds
    assert [system for system, _ in machines.asked[3:]] == [get, set_, finds]
    assert [loaded for _, loaded in machines.asked] == [False, True, False, True, True, True]
    assert machines.running == 0


def make_result(ours, theirs):
    result = measure.RowResult(make_row())
    for case, samples in zip(CASES, (ours, theirs)):
        for sample in samples:
            result.add(case, {"rate": sample, "server_cpu_ns": None})
    return result


@pytest.mark.parametrize("ours, theirs, value, reached", [
    ([10, 500, 30], [9, 10, 11], 3, True),   # Medians: one wild round changes nothing.
    ([19], [10], 1.9, False),
    ([], [10], None, None),
    ([19], [], None, None),
])
def test_goals_compare_medians(ours, theirs, value, reached):
    ((_, found, verdict),) = measure.judge(make_result(ours, theirs))
    assert (found, verdict) == (value, reached)


def both_transports(row, transports=("zmq", "native")):
    result = rows.on_transports(row, transports)
    return [case.name for case in result.cases], [goal.text for goal in result.goals]


def test_rows_about_the_transport_have_ours_on_each():
    row = rows.Row("1", "", ("rate",), entrepot_cases(), entrepot_goals(), each_transport=True)
    assert both_transports(row) == (
        ["entrepot zmq GET", "entrepot native GET", "redis GET"],
        ["zmq: beats redis", "native: beats redis", "native: is quick"])
    assert both_transports(row, ["native"])[0] == ["entrepot native GET", "redis GET"]


def test_other_rows_have_ours_on_the_first_transport():
    row = rows.Row("1", "", ("rate",), entrepot_cases(), entrepot_goals())
    assert both_transports(row) == (["entrepot zmq GET", "redis GET"], ["zmq: beats redis"])


def test_a_case_and_its_goals_have_the_same_name_on_a_transport():
    row = rows.Row("1", "", ("rate",), entrepot_cases(), entrepot_goals(), each_transport=True)
    row = rows.on_transports(row, ["zmq", "native"])
    result = measure.RowResult(row)
    for case, rate in zip(row.cases, (30, 50, 10)):
        result.add(case, {"rate": rate})
    assert [value for _, value, _ in measure.judge(result)] == [3, 5, 50]
    assert [case.system for case in row.cases] == ["entrepot-zmq", "entrepot-native", "redis"]


def entrepot_cases():
    return [rows.Case("entrepot GET", "entrepot", ()), rows.Case("redis GET", "redis", ())]


def entrepot_goals():
    return [rows.Goal("beats redis", "entrepot GET", "rate", 1, "redis GET"),
            rows.Goal("is quick", "entrepot GET", "rate", 9, transport="native")]


def test_what_is_missed_or_discarded_is_said():
    result = make_result([19], [10])
    result.discarded["theirs"].append("the server's core was 90 % busy")
    facts = {"cpu": "a <cpu>"}
    for text in (report.markdown("T", facts, [result], {}),
                 report.page("T", facts, [result], {})):
        assert "1.90 x, MISSED" in text
        assert "theirs: 1 rounds do not count" in text
    assert "a &lt;cpu&gt;" in report.page("T", facts, [result], {})


def test_what_is_kept_compares_many_clients_with_few():
    cases = [rows.Case("echo 100", "zmq-echo", ()), rows.Case("echo 10000", "zmq-echo", ())]
    result = measure.RowResult(rows.Row("9", "", ("rate",), cases))
    result.add(cases[0], {"rate": 200})
    result.add(cases[1], {"rate": 90})
    assert result.median("echo 10000", "kept_of_100") == pytest.approx(0.45)


def test_memory_goals_look_at_the_worst_size():
    memory = {("redis", 1): (100, 120), ("entrepot", 1): (70, 90), ("redis", 2): (100, 120),
              ("entrepot", 2): (80, 90)}
    ours, both = report.memory_verdicts(memory)
    assert "0.80 x, MISSED" in ours
    assert "not judged" in both


def test_the_rows_are_consistent():
    derived = {"kept_of_100", "worst_max_ns"}
    for row in (*rows.ROWS, starts.ROW, watching.ROW):
        row = rows.on_transports(row, ["zmq", "native"])
        names = [case.name for case in row.cases]
        assert {case.system for case in row.cases} <= set(systems.Launcher.NAMES)
        assert len(set(names)) == len(names)
        assert set(row.figures) <= {*measure.FIGURES, "start_ns", "watcher_p50_ns", "set_p50_ns"}
        for figure in row.figures:
            assert report.figure_title(figure)
        for goal in row.goals:
            assert goal.case in names and (not goal.over or goal.over in names)
            assert goal.figure in row.figures or goal.figure in derived
