"""Claim: the same holds for families of examples at positions, the same block applied at every position.

Paper (arXiv 2601.00455), sections 3 and 4, theorem 4.3 in its general form ("ensembles"): an instance is x_g, g in a
set of positions, with labels at every position; a label of level i is a (K, M)-PTF of the labels of level i - 1 at the
positions e_1(g) … e_w(g). Then layerwise SGD with shared weights learns, with width and number of instances polynomial
in (w n)^K. Assumed: one fixed set of positions, and instances independent of each other.

Measured, on cellular automata on rings (w = 3, K <= 3): the error by block and by time step on rings of another length
than those trained on; the same rows as few long rings; and learning without shared weights, each ring one example and
each cell's states labels of their own.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from paper._features import BETA, random_features
from paper._markdown import markdown_table
from paper._stages import blocks_needed, diagonal, draw_errors, staged_errors
from rungwise import Neighborhood, RungwiseClassifier
from rungwise.datasets import make_automaton

TITLE = "The same blocks at every position"
TARGET = 0.01
RULES = (30, 110)
N_TEST_RINGS = 50
FEW = 4


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    n_rings, n_cells, n_steps, width = (40, 48, 5, 512) if quick else (100, 64, 8, 2048)
    lengths = [n_cells // 3, n_cells, 3 * n_cells + 1]
    shapes = {"shared": (n_rings, n_cells), "shared, few long rings": (FEW, n_rings * n_cells // FEW)}
    runs = []
    for rule in RULES:
        for name, shape in shapes.items():
            report(f"rule {rule}, {name}")
            runs.append(_shared(name, rule, shape, n_steps, width, lengths, seed))
        report(f"rule {rule}, not shared")
        runs.append(_not_shared(rule, (n_rings, n_cells), n_steps, width, seed))
    return {"target": TARGET, "test rings": N_TEST_RINGS, "steps": n_steps, "width": width, "beta": BETA, "runs": runs}


def _shared(
    name: str, rule: int, shape: tuple[int, int], n_steps: int, width: int, lengths: list[int], seed: int
) -> dict:
    X, Y, _ = make_automaton(shape[0], rule, shape[1], n_steps, random_state=seed)
    fitted, seconds = _fit(X, Y, n_steps, width, Neighborhood.ring(), seed)
    errors = {
        str(length): staged_errors(fitted, *_fresh_rings(rule, length, n_steps, seed)).round(5).tolist()
        for length in lengths
    }
    return {"name": name, "rule": rule, "rings": shape[0], "cells": shape[1], "seconds": seconds, "error": errors}


def _not_shared(rule: int, shape: tuple[int, int], n_steps: int, width: int, seed: int) -> dict:
    n_rings, n_cells = shape
    X, Y, _ = make_automaton(n_rings, rule, n_cells, n_steps, random_state=seed)
    fitted, seconds = _fit(X[:, :, 0], Y.reshape(n_rings, -1), n_steps, width, None, seed)
    X, Y = _fresh_rings(rule, n_cells, n_steps, seed)
    errors = staged_errors(fitted, X[:, :, 0], Y.reshape(len(Y), -1)).reshape(-1, n_cells, n_steps).mean(axis=1)
    return {
        "name": "not shared",
        "rule": rule,
        "rings": n_rings,
        "cells": n_cells,
        "seconds": seconds,
        "error": {str(n_cells): errors.round(5).tolist()},
    }


def _fit(
    X: np.ndarray, Y: np.ndarray, n_steps: int, width: int, neighborhood: Neighborhood | None, seed: int
) -> tuple[RungwiseClassifier, float]:
    """Return the fitted classifier, of at most twice as many blocks as there are steps, and the seconds."""
    began = time.perf_counter()
    fitted = RungwiseClassifier(
        random_features(width), neighborhood=neighborhood, max_depth=2 * n_steps, random_state=seed
    ).fit(X, Y)
    return fitted, round(time.perf_counter() - began, 1)


def _fresh_rings(rule: int, n_cells: int, n_steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    X, Y, _ = make_automaton(N_TEST_RINGS, rule, n_cells, n_steps, random_state=seed + 1)
    return X, Y


def draw(result: dict, figure: Any) -> None:
    runs = [run for run in result["runs"] if run["name"] == "shared"]
    figure.set_size_inches(5.2 * len(runs), 4.6)
    panels = figure.subplots(1, len(runs))
    for panel, run in zip(panels, runs, strict=True):
        length, errors = list(run["error"].items())[-1]
        title = (
            f"rule {run['rule']}: trained on {run['rings']} rings of {run['cells']} cells,\ntested on {length} cells"
        )
        picture = draw_errors(panel, errors, title, of="time step")
    figure.colorbar(picture, ax=panels, label="error on fresh rings, %")


def describe(result: dict) -> str:
    target = result["target"]
    shared = [run for run in result["runs"] if run["name"] == "shared"]
    verdicts = " ".join(_verdict(run, target) for run in shared)
    return f"""\
Cellular automata of {result["steps"]} steps, random features of width {result["width"]:,} (σ = erf,
β = {result["beta"]:g}), blocks that see a cell and its two neighbours. Errors are those on {result["test rings"]}
fresh rings after the last block.

{_table(result["runs"], target)}

{verdicts}

Where this is not the theorem's setting: the theorem fixes the set of positions; here what was learned on one ring is
used on rings of other lengths. It counts independent instances; here the cells of one ring, which are not
independent, count as examples, even of {FEW} rings alone. Estimates of training rows are out-of-fold (a ring is in one
fold), penalties are chosen by them, and blocks read estimates clipped to [-1, 1]. The width is not the theorem's
polynomial: every step that is learned adds three entries to what the next blocks must read. Blocks may end early, when
no step gains by another one."""


def _table(runs: list[dict], target: float) -> str:
    head = (
        "rule",
        "weights",
        "rings × cells",
        "tested on cells: worst step's error",
        f"first block after which each step is within {target:.0%} (longest rings)",
        "s",
    )
    rows = []
    for run in runs:
        worst = ", ".join(f"{length}: {max(errors[-1]):.2%}" for length, errors in run["error"].items())
        needed = blocks_needed(list(run["error"].values())[-1], target)
        rows.append(
            (
                str(run["rule"]),
                run["name"],
                f"{run['rings']} × {run['cells']:,}",
                worst,
                ", ".join("–" if block is None else str(block) for block in needed),
                f"{run['seconds']:.0f}",
            )
        )
    return markdown_table(head, rows)


def _verdict(run: dict, target: float) -> str:
    """Say how far the claim holds."""
    found = [
        f"{sum(error <= target for error in diagonal(errors))} of {len(errors[0])} on rings of {length} cells"
        for length, errors in run["error"].items()
    ]
    return f"Rule {run['rule']}, steps within {target:.0%} after the block of their number: {', '.join(found)}."
