"""Means over seeds of the runs of `benchmarks.real`, ranks over sets, and both as Markdown."""

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks._ranks import critical_difference, mean_ranks
from benchmarks._real_learners import FOREST
from benchmarks._real_runs import OK
from benchmarks._real_scores import MEASURES, N_BINS

RANKED = ("micro AP", "exact", "Hamming")
NONE = "–"
RATIO, PEAK = "fit / RF", "peak MiB"
FORMATS = {
    **dict.fromkeys(MEASURES, ".3f"),
    "Hamming": ".4f",
    "fit s": ".1f",
    RATIO: ".2f",
    "predict s": ".2f",
    PEAK: ",.0f",
}
CAPTION = f"""\
Means over seeds, on test rows. micro and macro AP: average precision, macro over labels with a positive; Hamming:
share of wrong labels; exact: share of rows with every label right; AUC: mean over labels that vary;
ECE: expected calibration error of all label entries pooled, {N_BINS} bins of equal width; fit / RF: fit time over the
random forest's; peak: the most memory of the whole process, of which libraries and data take the first part."""


def means(runs: Iterable[dict]) -> dict[tuple[str, str], dict]:
    """Return by (set, learner) the means over seeds, "seeds", so many, and "remark"; no means if no run was ok."""
    by_pair: dict[tuple[str, str], list[dict]] = {}
    for result in runs:
        by_pair.setdefault((result["set"], result["learner"]), []).append(result)
    table = {pair: _mean(own) for pair, own in by_pair.items()}
    for (data, _), row in table.items():
        forest = table.get((data, FOREST), {})
        if "fit s" in row and "fit s" in forest:
            row[RATIO] = row["fit s"] / forest["fit s"]
    return table


def _mean(own: list[dict]) -> dict:
    done = [result for result in own if result["state"] == OK]
    remarks = [f"seed {r['seed']}: {r['state']}, {r['remark']}" for r in own if r["state"] != OK]
    row: dict = {"seeds": len(done), "remark": "; ".join(remarks)}
    if not done:
        return row
    measured = [*MEASURES, "fit s", "predict s"]
    row |= {name: float(np.mean([result[name] for result in done])) for name in measured}
    # The most that was needed, not the mean of it.
    return row | {f"{part} MiB": max(result[f"{part} bytes"] for result in done) / 2**20 for part in ("start", "peak")}


def ranks(table: dict[tuple[str, str], dict], sets: Sequence[str]) -> tuple[dict[str, dict[str, float]], float]:
    """Return by measure the mean rank of each learner that was run on all sets, and the critical difference.

    A learner without an answer on a set is last there.
    """
    learners = [name for name in _learners(table) if all((data, name) in table for data in sets)]
    if len(learners) < 2:
        return {}, np.nan
    by_measure = {}
    for measure in RANKED:
        values = np.array([[table[data, name].get(measure, np.nan) for data in sets] for name in learners])
        by_measure[measure] = dict(zip(learners, mean_ranks(values, MEASURES[measure]).tolist(), strict=True))
    return by_measure, critical_difference(len(learners), len(sets))


def _learners(table: dict[tuple[str, str], dict]) -> list[str]:
    return list(dict.fromkeys(name for _, name in table))


def markdown(table: dict[tuple[str, str], dict], sets: Sequence[str], skipped: Sequence[str]) -> str:
    """Return all as one page: the ranks, then each set."""
    parts = [_ranks_part(table, sets), *(_set_part(table, data) for data in sets), CAPTION, *skipped]
    return "\n\n".join(filter(None, parts)) + "\n"


def _ranks_part(table: dict[tuple[str, str], dict], sets: Sequence[str]) -> str:
    by_measure, difference = ranks(table, sets)
    if not by_measure:
        return ""
    first = by_measure[RANKED[0]]
    header = ["learner", *(f"rank, {measure}" for measure in RANKED), *(f"{data}, {RANKED[0]}" for data in sets)]
    rows = [
        [name, *(f"{by_measure[m][name]:.2f}" for m in RANKED), *(_cell(table[data, name], RANKED[0]) for data in sets)]
        for name in sorted(first, key=first.__getitem__)
    ]
    note = (
        f"Mean ranks over {len(sets)} sets; no answer is the last rank. Critical difference at 0.05 (Nemenyi): "
        f"{difference:.2f}."
    )
    return f"### Ranks\n\n{_grid(header, rows)}\n\n{note}"


def _set_part(table: dict[tuple[str, str], dict], data: str) -> str:
    names = [name for name in _learners(table) if (data, name) in table]
    names.sort(key=lambda name: -table[data, name].get(RANKED[0], -np.inf))
    rows = [
        [name, *(_cell(table[data, name], column) for column in FORMATS), table[data, name]["remark"]] for name in names
    ]
    return f"### {data}\n\n{_grid(['learner', *FORMATS, 'remark'], rows)}" if rows else ""


def _cell(row: dict, column: str) -> str:
    return format(row[column], FORMATS[column]) if column in row else NONE


def _grid(header: list[str], rows: list[list[str]]) -> str:
    # A pipe in a remark would open a column.
    lines = [header, ["---"] * len(header), *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
