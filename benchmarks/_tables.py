"""The tables that `benchmarks.deep` prints."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from benchmarks._tasks import UNSEEN, Floor

# More columns of levels do not fit beside each other.
_MOST_LEVELS = 8


def task_table(title: str, results: Sequence[dict]) -> Table:
    """Return one row for each learner, seed and set of test rows: errors by level, of all labels, seconds, edges."""
    levels = _some_levels(sorted({level for r in results for s in r["scores"].values() for level in s["errors"]}))
    table = Table(title=title, title_justify="left", caption="error on unseen rows by level", caption_justify="left")
    table.add_column("learner")
    table.add_column("seed", justify="right")
    for level in levels:
        table.add_column(f"{level}", justify="right", no_wrap=True)
    for column in ("all", "rows right", "s", "edges P / R"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("remark", overflow="fold", ratio=1)
    for result in results:
        edges = result.get("edges")
        shown = f"{edges['edge precision']:.3f} / {edges['edge recall']:.3f}" if edges else ""
        for rows, scores in (result["scores"] or {UNSEEN: None}).items():
            name = result["learner"] if rows == UNSEEN else f"  {rows}"
            cells = ["–"] * (len(levels) + 2)
            if scores is not None:
                errors = scores["errors"]
                cells = [_percent(errors[level]) if level in errors else "–" for level in levels]
                cells += [_percent(scores["all labels"]), f"{scores['rows all right']:.2%}"]
            first = rows == UNSEEN
            table.add_row(
                name,
                str(result["seed"]),
                *cells,
                f"{result['seconds']:.1f}" if first else "",
                shown if first else "",
                escape(result["remark"]) if first else "",
            )
    return table


def _some_levels(levels: list[int]) -> list[int]:
    """Return all levels, or some of them evenly spaced from the first to the last."""
    if len(levels) <= _MOST_LEVELS:
        return levels
    step = (len(levels) - 1) / (_MOST_LEVELS - 1)
    return [levels[round(k * step)] for k in range(_MOST_LEVELS)]


def _percent(error: float) -> str:
    return "0" if error == 0 else f"{error:.2%}"


def floors_table(verdicts: Sequence[tuple[str, Floor, float | None]], quick: bool) -> Table:
    """Return each floor, the worst value over the seeds (None: there is none), and whether it was met."""
    title = "Floors" + (" (meant for the full sizes, not for --quick)" if quick else "")
    table = Table(title=title, title_justify="left")
    for column in ("task", "floor", "measured (worst seed)", ""):
        table.add_column(column)
    for name, floor, value in verdicts:
        sign = "<=" if floor.at_most else ">="
        where = "" if floor.rows in (UNSEEN, None) else f", {floor.rows}"
        met = value is not None and floor.met(value)
        table.add_row(
            name,
            f"{floor.measure}{where} {sign} {floor.limit:g}",
            "none" if value is None else f"{value:.5g}",
            "met" if met else "[bold red]MISSED[/]",
        )
    return table


def examples_table(points: Sequence[dict]) -> Table:
    """Return the fewest examples of each instance beside the information limit."""
    table = Table(title="Fewest examples from which ours makes no error on unseen rows", title_justify="left")
    for column in ("instance", "labels", "depth", "log2 candidates", "bits an example", "limit", "fewest", "tried"):
        table.add_column(column, justify="left" if column in ("instance", "tried") else "right")
    for point in points:
        tried = sorted(point["tried"], key=lambda trial: -trial["examples"])
        table.add_row(
            point["instance"],
            f"{point['labels']:,}",
            str(point["depth"]),
            f"{point['candidate bits']:.1f}",
            f"{point['least label entropy']:.3f}",
            f"{point['information limit']:.0f}",
            str(point["fewest examples"] or "none"),
            ", ".join(f"{trial['examples']}: {_wrong(trial)}" for trial in tried),
        )
    return table


def _wrong(trial: dict) -> str:
    return trial["failure"].partition(":")[0] or f"{trial['wrong values']:,} wrong"


def times_table(points: Sequence[dict]) -> Table:
    """Return seconds beside those at the matrix-product rate, and the share that screening reaches."""
    table = Table(title="Time beside the machine's matrix-product rate", title_justify="left")
    columns = (
        "instance",
        "fit, s",
        "search, s",
        "GFLOP",
        "rate, GFLOP/s",
        "s at the rate",
        "pairs, s",
        "pairs, share of the rate",
        "open",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "instance" else "right")
    for point in points:
        table.add_row(
            point["instance"],
            f"{point['fit seconds']:.2f}",
            f"{point['search seconds']:.2f}",
            f"{point['operations'] / 1e9:,.1f}",
            f"{point['matrix-product rate'] / 1e9:.0f}",
            f"{point['seconds at the matrix-product rate']:.3f}",
            f"{point['pair seconds']:.2f}",
            f"{point['share of the matrix-product rate']:.0%}",
            f"{point['unsettled']} of {point['labels']:,}",
        )
    return table
