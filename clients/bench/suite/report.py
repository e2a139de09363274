"""Tables for people: Markdown, and one self-contained page with the same numbers and bars."""

import html

from . import measure, rows

PAGE_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .25rem .6rem; text-align: right;
       border-bottom: 1px solid #e3e3de; vertical-align: top; }
td:first-child, th:first-child { text-align: left; } small { color: #666; display: block; }
.bar { background: #0072b2; height: .8rem; display: inline-block; } .bars td { width: 50%; }
.ours { background: #d55e00; } .missed { color: #a40000; font-weight: 600; }
.reached { color: #00683f; } code { font-size: 12px; overflow-wrap: anywhere; }
"""


def format_figure(name, value):
    """A number with its unit, three digits that count; "-" for None."""
    if value is None:
        return "-"
    if name.endswith("_ns"):
        for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6)):
            if value < 1000 * size or unit == "ms":
                scaled = value / size
                digits = ".0f" if scaled >= 100 or unit == "ns" else ".3g"
                return f"{scaled:{digits}} {unit}"
    if "bytes" in name:
        return f"{value / 1024:.1f} KiB" if value >= 10240 else f"{value:.0f} B"
    if "rate" in name:
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
    return f"{value:.2f}"


def figure_title(name):
    return {"rate": "rate", "server_cpu_ns": "server CPU a request", "p50_ns": "p50",
            "p99_ns": "p99", "p99_9_ns": "p99.9", "start_ns": "start", "max_ns": "longest", "get_p50_ns": "GET p50",
            "background_rate": "finds", "background_p99_ns": "SET p99",
            "watcher_p50_ns": "p50 to the watcher", "set_p50_ns": "p50 of a SET",
            "resident_bytes_per_client": "memory a client"}[name]


def cell(result, case, figure):
    """Median, and the spread from the least to the greatest round."""
    median = result.median(case.name, figure)
    if median is None:
        return "-", ""
    least, most = result.spread(case.name, figure)
    return format_figure(figure, median), (f"{format_figure(figure, least)} … "
                                           f"{format_figure(figure, most)}")


def verdict_text(goal, value, reached):
    if value is None:
        return f"{goal.text}: not judged, too few rounds count"
    shown = f"{value:.2f} x" if goal.over else format_figure(goal.figure, value)
    return f"{goal.text}: {shown}, {'reached' if reached else 'MISSED'}"


def discarded_notes(result):
    for case, reasons in result.discarded.items():
        if reasons:
            yield f"{case}: {len(reasons)} rounds do not count ({reasons[-1]})"


def row_markdown(result):
    row = result.row
    lines = [f"### {row.number}. {row.title}", "",
             "| | " + " | ".join(figure_title(figure) for figure in row.figures) + " |",
             "|---|" + "---:|" * len(row.figures)]
    for case in row.cases:
        cells = []
        for figure in row.figures:
            median, spread = cell(result, case, figure)
            cells.append(f"{median} ({spread})" if spread else median)
        lines.append(f"| {case.name} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"- {verdict_text(*verdict)}" for verdict in measure.judge(result)]
    lines += [f"- {note}" for note in discarded_notes(result)]
    return "\n".join(lines) + "\n"


def memory_markdown(memory):
    """`memory` maps (case name, entries) to (allocated, resident) bytes an entry."""
    lines = ["### 6. Memory an entry: allocated (resident)", "",
             "| entries | " + " | ".join(case.name for case in rows.MEMORY_CASES) + " |",
             "|---:|" + "---:|" * len(rows.MEMORY_CASES)]
    for entries in sorted({entries for _, entries in memory}):
        cells = []
        for case in rows.MEMORY_CASES:
            allocated, resident = memory.get((case.name, entries), (None, None))
            cells.append(f"{format_figure('bytes', allocated)} "
                         f"({format_figure('bytes', resident)})")
        lines.append(f"| {entries:,} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"- {text}" for text in memory_verdicts(memory)]
    return "\n".join(lines) + "\n"


def memory_verdicts(memory):
    for name, limit in rows.MEMORY_GOALS:
        worst = None
        for (case, entries), (allocated, _) in memory.items():
            redis = memory.get(("redis", entries), (None, None))[0]
            if case == name and allocated is not None and redis:
                worst = max(worst or 0, allocated / redis)
        goal = f"{name}: at most {limit} x Redis"
        yield f"{goal}: not judged" if worst is None else (
            f"{goal}: {worst:.2f} x, {'reached' if worst <= limit else 'MISSED'}")


def facts_markdown(facts):
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join(lines) + "\n"


def markdown(title, facts, results, memory):
    parts = [f"# {title}\n", facts_markdown(facts)]
    parts.append("\nMedians, with the least and the greatest round in brackets. A round of a "
                 "throughput row counts only if the server's core was at least "
                 f"{100 * measure.BUSY_CORE:.0f} % busy.\n")
    parts += [row_markdown(result) for result in results]
    if memory:
        parts.append(memory_markdown(memory))
    parts.append("### Commands\n")
    for result in results:
        for case, command in result.commands.items():
            parts.append(f"- {result.row.number}, {case}: `{command}`")
    return "\n".join(parts) + "\n"


def bar(result, case, figure, widest):
    median = result.median(case.name, figure)
    if median is None or not widest:
        return ""
    ours = " ours" if case.system.startswith("entrepot") else ""
    return f"<span class='bar{ours}' style='width:{100 * median / widest:.1f}%'></span>"


def row_page(result):
    row = result.row
    first = row.figures[0]
    widest = max((result.median(case.name, first) or 0) for case in row.cases)
    head = "".join(f"<th>{html.escape(figure_title(figure))}</th>" for figure in row.figures)
    parts = [f"<h2>{row.number}. {html.escape(row.title)}</h2>",
             f"<table><tr><th></th>{head}<th>{html.escape(figure_title(first))}</th></tr>"]
    for case in row.cases:
        cells = "".join(f"<td>{html.escape(median)}<small>{html.escape(spread)}</small></td>"
                        for median, spread in (cell(result, case, name) for name in row.figures))
        parts.append(f"<tr><td>{html.escape(case.name)}</td>{cells}"
                     f"<td style='width:30%;text-align:left'>{bar(result, case, first, widest)}"
                     "</td></tr>")
    parts.append("</table><ul>")
    for goal, value, reached in measure.judge(result):
        kind = "reached" if reached else "missed"
        parts.append(f"<li class='{kind}'>{html.escape(verdict_text(goal, value, reached))}</li>")
    parts += [f"<li>{html.escape(note)}</li>" for note in discarded_notes(result)]
    return "\n".join(parts) + "</ul>\n"


def memory_page(memory):
    head = "".join(f"<th>{html.escape(case.name)}</th>" for case in rows.MEMORY_CASES)
    parts = ["<h2>6. Memory an entry: allocated (resident)</h2>",
             f"<table><tr><th>entries</th>{head}</tr>"]
    for entries in sorted({entries for _, entries in memory}):
        parts.append(f"<tr><td>{entries:,}</td>")
        for case in rows.MEMORY_CASES:
            allocated, resident = memory.get((case.name, entries), (None, None))
            parts.append(f"<td>{format_figure('bytes', allocated)}"
                         f"<small>{format_figure('bytes', resident)}</small></td>")
        parts.append("</tr>")
    parts.append("</table><ul>")
    parts += [f"<li>{html.escape(text)}</li>" for text in memory_verdicts(memory)]
    return "\n".join(parts) + "</ul>\n"


def page(title, facts, results, memory):
    listed = "".join(f"<li>{html.escape(name)}: {html.escape(str(value))}</li>"
                     for name, value in facts.items())
    parts = [f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
             f"<style>{PAGE_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
             f"<ul>{listed}</ul>"]
    parts += [row_page(result) for result in results]
    if memory:
        parts.append(memory_page(memory))
    parts.append("<h2>Commands</h2><ul>")
    for result in results:
        for case, command in result.commands.items():
            parts.append(f"<li>{result.row.number}, {html.escape(case)}: "
                         f"<code>{html.escape(command)}</code></li>")
    return "\n".join(parts) + "</ul></body></html>\n"


def as_json(title, facts, results, memory):
    """Every round's figures, for machines."""
    return {
        "title": title,
        "facts": facts,
        "rows": [{
            "number": result.row.number,
            "title": result.row.title,
            "cases": [{
                "name": case.name,
                "system": case.system,
                "command": result.commands.get(case.name),
                "samples": result.samples[case.name],
                "medians": {figure: result.median(case.name, figure)
                            for figure in result.row.figures},
                "discarded": result.discarded[case.name],
            } for case in result.row.cases],
            "goals": [{"goal": goal.text, "value": value, "reached": reached}
                      for goal, value, reached in measure.judge(result)],
        } for result in results],
        "memory": [{"case": case, "entries": entries, "allocated_bytes": allocated,
                    "resident_bytes": resident}
                   for (case, entries), (allocated, resident) in memory.items()],
    }
