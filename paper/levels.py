"""Claim: layerwise SGD learns hierarchies, block i the labels of level i.

Paper (arXiv 2601.00455), sections 3 and 4, theorem 4.3: let the labels form an (r, K, M)-hierarchy, L_1 ⊆ … ⊆ L_r. With
random features of enough width, and enough examples, the labels of L_i are learned after block i, and r blocks are
enough. Assumed: width and number of examples are large enough polynomials in (n, d)^K, M and 1 / ε.

Measured: the error on fresh rows after every block, by level, on

- "few inputs": a random hierarchy of majorities, parities and multiplexers on few inputs;
- "parities": prefixes of bits, of which each is a parity of the one before and a bit: a label of level i is
  uncorrelated with everything of lower degree;
- "many inputs": a random hierarchy where N^K is out of reach;
- "few inputs, SGD": few inputs again by stochastic gradient descent, and by the exact solver at the same penalty.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from paper._features import BETA, random_features
from paper._markdown import markdown_table
from paper._stages import blocks_needed, diagonal, draw_errors, errors_by_level, staged_errors
from rungwise import RungwiseClassifier
from rungwise.datasets import make_hierarchy, make_parity
from rungwise.fitting.newton import ConvergenceWarning

TITLE = "Block i learns level i"
N_TEST = 5000
TARGET = 0.01
# Chosen for the time that the descent takes: with penalties ten times smaller it takes several times as long.
SGD_PENALTY = 1e-5


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    few = {"n_inputs": 12, "n_levels": 4, "n_labels_per_level": 4} if quick else {"n_inputs": 20, "n_levels": 8}
    many = {"n_inputs": 60, "n_levels": 4 if quick else 8, "n_labels_per_level": 30}
    n, n_many = (2000, 3000) if quick else (10_000, 20_000)
    width, narrow = (1024, 512) if quick else (2048, 1024)

    def fit(name: str, data: tuple, n: int, width: int, solver: str = "exact", penalty: float | str = "auto") -> dict:
        report(f"{name}, {solver}")
        return _fit_and_test(name, data, n, width, solver, penalty, seed)

    of_few = make_hierarchy(n + N_TEST, **few, random_state=seed)
    runs = [
        fit("few inputs", of_few, n, width),
        fit("parities", _parities(n + N_TEST, 12 if quick else 16, 4 if quick else 8, seed), n, width),
        fit("many inputs", make_hierarchy(n_many + N_TEST, **many, random_state=seed), n_many, width),
        fit("few inputs, SGD", of_few, n, narrow, "sgd", SGD_PENALTY),
        fit("few inputs, exact at the penalty of SGD", of_few, n, narrow, "exact", SGD_PENALTY),
    ]
    return {"target": TARGET, "test rows": N_TEST, "beta": BETA, "runs": runs}


def _parities(n: int, n_bits: int, n_levels: int, seed: int) -> tuple:
    """Return the first levels of the parities of prefixes, as `make_hierarchy` returns its own."""
    X, Y, model = make_parity(n, n_bits, random_state=seed)
    return X, Y[:, :n_levels], model


def _fit_and_test(name: str, data: tuple, n: int, width: int, solver: str, penalty: float | str, seed: int) -> dict:
    X, Y, model = data
    level = model.level[: Y.shape[1]]
    classifier = RungwiseClassifier(
        random_features(width),
        solver=solver,
        penalty=penalty,
        max_depth=2 * int(level.max()),
        random_state=seed,
    )
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        classifier.fit(X[:n], Y[:n])
    seconds = time.perf_counter() - began
    return {
        "name": name,
        "inputs": X.shape[1],
        "levels": int(level.max()),
        "labels": Y.shape[1],
        "examples": n,
        "width": width,
        "solver": solver,
        "penalty": penalty,
        "warnings of convergence": sum(issubclass(w.category, ConvergenceWarning) for w in caught),
        "seconds": round(seconds, 1),
        "error": errors_by_level(staged_errors(classifier, X[n:], Y[n:]), level),
    }


def draw(result: dict, figure: Any) -> None:
    runs = result["runs"][:4]  # the fifth looks like the fourth
    figure.set_size_inches(4.2 * len(runs), 4.2)
    panels = figure.subplots(1, len(runs))
    for panel, run in zip(panels, runs, strict=True):
        size = f"{run['inputs']} inputs, {run['labels']} labels,\n{run['examples']:,} examples, width {run['width']:,}"
        picture = draw_errors(panel, run["error"], f"{run['name']}: {size}")
    figure.colorbar(picture, ax=panels, label="error on fresh rows, %")


def describe(result: dict) -> str:
    target, runs = result["target"], result["runs"]
    sgd, exact = runs[-2:]
    stages = min(len(sgd["error"]), len(exact["error"]))
    apart = np.abs(np.array(sgd["error"][:stages]) - np.array(exact["error"][:stages])).max()
    seen = max(1 - (1 - 0.5 ** run["inputs"]) ** run["examples"] for run in runs)
    early = sum(run["warnings of convergence"] for run in runs)
    return f"""\
Error on {result["test rows"]:,} fresh rows after every block, by the level of the label. The theorem: level i is
learned after block i. Features: σ = erf, β = {result["beta"]:g}. Fresh rows are new draws, as in the theorem: with the
fewest inputs {seen:.0%} of them are expected to be among the training examples, too.

{_table(runs, target)}

{" ".join(_verdict(run, target) for run in runs[:4])}

Stochastic gradient descent (mini-batches, variance-reduced, a step size for each principal axis) and the exact solver
minimise the same convex objective: at the penalty {sgd["penalty"]:g} their errors differ by at most {apart:.2%}, in
{sgd["seconds"]:.0f} s and {exact["seconds"]:.0f} s. Descents that stopped early: {early}.

Where this is not the theorem's setting: width and examples are what a small machine allows, not the theorem's
polynomials, so that a level may need more blocks than its number, or never be learned. Estimates of training rows are
out-of-fold and penalties are chosen by them, a label is left alone where they do not improve, and blocks read
estimates clipped to [-1, 1]; the theorem has one penalty and trains on all rows. Labels of the parities above level 1
read an input beside a label. A label can be learned earlier than its level says, as far as it is correlated with what
is known."""


def _table(runs: list[dict], target: float) -> str:
    head = (
        "run",
        "inputs",
        "levels × labels",
        "examples",
        "width",
        "worst error of level i after block i",
        "worst at the end",
        f"first block after which each level is within {target:.0%}",
        "s",
    )
    rows = []
    for run in runs:
        needed = ("–" if block is None else str(block) for block in blocks_needed(run["error"], target))
        rows.append(
            (
                run["name"],
                str(run["inputs"]),
                f"{run['levels']} × {run['labels'] // run['levels']}",
                f"{run['examples']:,}",
                f"{run['width']:,}",
                f"{max(diagonal(run['error'])):.2%}",
                f"{max(run['error'][-1]):.2%}",
                ", ".join(needed),
                f"{run['seconds']:.0f}",
            )
        )
    return markdown_table(head, rows)


def _verdict(run: dict, target: float) -> str:
    """Say how far the claim holds."""
    in_time = sum(error <= target for error in diagonal(run["error"]))
    ever = sum(block is not None for block in blocks_needed(run["error"], target))
    name = run["name"][0].upper() + run["name"][1:]
    return (
        f"{name}: {in_time} of {run['levels']} levels are within {target:.0%} after the block of "
        f"their number, {ever} at some block."
    )
