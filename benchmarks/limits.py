"""When labels on the way do not help, and what the fitted model says then: python -m benchmarks.limits.

Each case has a target label and other labels. The target is learned alone and with all of the others, by the default
classifier, and its error on fresh rows is compared with what can be read off the fit: levels, honest errors, and what
`label_value` makes of the training rows. "rungs" is the case that the rest is measured against: there labels help.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from rungwise import RungwiseClassifier, label_value
from rungwise.datasets import make_hierarchy

N_INPUTS, N_TEST = 30, 4000
TARGET = "target"
# In these labels help; `benchmarks.label_value` measures what `label_value` says then, in minutes.
RUNGS, DENSE_WITH_RUNGS = "rungs", "dense target, rungs"


def rungs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return X and the labels of four levels of 12 gates; the target is one of the fourth."""
    X, Y, model = make_hierarchy(n, N_INPUTS, 4, 12, random_state=rng)
    names = [f"level{level}_{j}" for j, level in enumerate(model.level)]
    labels = pd.DataFrame(Y.astype(float), columns=names)
    # Of the labels on the target's level, only the target is there.
    last = [names[j] for j in np.flatnonzero(model.level == 4)]
    return X, labels.rename(columns={last[0]: TARGET}).drop(columns=last[1:])


def independent(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the same target with labels of another hierarchy, over other inputs."""
    X, labels = rungs(n, rng)
    others, strangers = rungs(n, rng)
    strangers = strangers.drop(columns=TARGET).add_prefix("other_")
    return np.hstack([X, others]), pd.concat([strangers, labels[[TARGET]]], axis=1)


def coins(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the same target with twelve labels that are coins."""
    X, labels = rungs(n, rng)
    drawn = pd.DataFrame(rng.integers(0, 2, (n, 12)).astype(float)).add_prefix("coin_")
    return X, pd.concat([drawn, labels[[TARGET]]], axis=1)


def noisy_rungs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the rungs, but with 40 % of the values flipped in all labels but the target."""
    X, labels = rungs(n, rng)
    flipped = rng.random(labels.shape) < 0.4
    flipped[:, labels.columns.get_loc(TARGET)] = False
    return X, labels.mask(flipped, 1 - labels)


def missing_rung(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the rungs without those of levels 2 and 3."""
    X, labels = rungs(n, rng)
    return X, labels[[name for name in labels if name == TARGET or name.startswith("level1")]]


def dense(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return majorities of three inputs, and as the target the parity of all twelve."""
    X = rng.choice([-1.0, 1.0], size=(n, N_INPUTS))
    members = np.stack([rng.choice(N_INPUTS, 3, replace=False) for _ in range(12)])
    lower = np.sign(X[:, members].sum(axis=2))
    labels = pd.DataFrame((lower > 0).astype(float)).add_prefix("majority_")
    return X, labels.assign(**{TARGET: (lower.prod(axis=1) > 0).astype(float)})


def dense_with_rungs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the same with the parities of the first two, three, … of the majorities, too."""
    X, labels = dense(n, rng)
    signs = 2 * labels.drop(columns=TARGET).to_numpy() - 1
    prefixes = signs.cumprod(axis=1)[:, 1:-1]
    return X, pd.concat([labels, pd.DataFrame((prefixes > 0).astype(float)).add_prefix("parity_")], axis=1)


def easy(n: int, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the rungs with an easy target: the majority of three inputs."""
    X, labels = rungs(n, rng)
    return X, labels.assign(**{TARGET: (X[:, :3].sum(axis=1) > 0).astype(float)})


CASES: dict[str, Callable[[int, np.random.Generator], tuple[np.ndarray, pd.DataFrame]]] = {
    RUNGS: rungs,
    "independent labels": independent,
    "coins": coins,
    "rungs, 40 % flipped": noisy_rungs,
    "missing rung": missing_rung,
    "dense target": dense,
    DENSE_WITH_RUNGS: dense_with_rungs,
    "easy target": easy,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows, and no values of labels")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; may be given more than once")
    parser.add_argument("--rows", type=int, default=1000, help="training rows (quick: 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmark-results"), help="folder of limits.json")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = Console() if Console().is_terminal else Console(width=160)
    results = []
    for name in options.case or CASES:
        with console.status(name):
            valued = not options.quick and name not in (RUNGS, DENSE_WITH_RUNGS)
            results.append(run(name, 300 if options.quick else options.rows, options.seed, valued))
        content = {"quick": options.quick, "seed": options.seed, "results": results}
        (options.output / "limits.json").write_text(json.dumps(content, indent=1) + "\n")
    console.print(results_table(results))


def run(name: str, n: int, seed: int, valued: bool) -> dict:
    """Return the errors of one case, and what can be read off the fit."""
    X, labels = CASES[name](n + N_TEST, np.random.default_rng(seed))
    Y = labels.to_numpy()
    target = labels.columns.get_loc(TARGET)
    began = time.perf_counter()
    alone = RungwiseClassifier(random_state=seed).fit(X[:n], Y[:n, target])
    error_alone = float((alone.predict(X[n:]) != Y[n:, target]).mean())
    fitted = RungwiseClassifier(random_state=seed).fit(X[:n], labels[:n])
    error = float((fitted.predict(X[n:])[:, target] != Y[n:, target]).mean())
    hierarchy = fitted.hierarchy_
    others = np.delete(hierarchy.level, target)
    graph = hierarchy.to_networkx()
    ancestors = {label for kind, label in nx.ancestors(graph, ("label", TARGET)) if kind == "label"}
    result = {
        "case": name,
        "rows": n,
        "labels": len(others),
        "error of the frequency": float(min(Y[n:, target].mean(), 1 - Y[n:, target].mean())),
        "error alone": error_alone,
        "error with labels": error,
        "honest error": float(hierarchy.honest_error[target]),
        "target's level": int(hierarchy.level[target]),
        "target's formula": str(hierarchy.formula(TARGET) or ""),
        "target's ancestors": len(ancestors),
        "labels never learned": int((others == 0).sum()),
        "labels without a formula": sum(hierarchy.formula(label) is None for label in labels if label != TARGET),
        "blocks": fitted.n_blocks_,
        "hierarchy": str(hierarchy),
    }
    if valued:
        quick = RungwiseClassifier(features="sparse", random_state=seed)
        value = label_value(quick, X[:n], labels[:n], target=TARGET, n_splits=2, n_orders=1)
        best = value.frame.iloc[0]
        result |= {
            "value: error by itself": value.error_by_itself,
            "value: error with all": value.error_with_all,
            "value: labels of value": int((value.frame["value"] > 2 * value.frame["value_se"]).sum()),
            "value: best": f"{best['label']} {best['value']:.3f} ± {best['value_se']:.3f}",
            "value: rows worth annotating": int(value.frame["worth_annotating"].sum()),
        }
    return result | {"seconds": time.perf_counter() - began}


def results_table(results: list[dict]) -> Table:
    """Return a row for each case: errors, and beside them what the tool says."""
    table = Table(title="When labels help, and what tells", title_justify="left")
    columns = {
        "case": "case",
        "frequency": "error of the frequency",
        "alone": "error alone",
        "with labels": "error with labels",
        "honest error": "honest error",
        "level": "target's level",
        "ancestors": "target's ancestors",
        "never learned": "labels never learned",
        "no formula": "labels without a formula",
        "of value": "value: labels of value",
        "best label": "value: best",
        "s": "seconds",
    }
    for column in columns:
        table.add_column(column, justify="left" if column in ("case", "best label") else "right")
    for result in results:
        cells = []
        for key in columns.values():
            value = result.get(key, "")
            cells.append(f"{value:.3f}" if isinstance(value, float) and key != "seconds" else value)
        cells[-1] = f"{result['seconds']:.0f}"
        cells[7:9] = [f"{cell} of {result['labels']}" for cell in cells[7:9]]
        table.add_row(*map(str, cells))
    return table


if __name__ == "__main__":
    main()
