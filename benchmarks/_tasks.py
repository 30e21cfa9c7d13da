"""The tasks of `benchmarks.deep`: deep hierarchies of labels, how they are judged, and what must be reached at least.

A task is data, the true hierarchy (for scoring only) and floors. ``quick`` makes it so small that it takes a second or
so: the same code runs, and the floors, which are meant for the full size, may be missed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rungwise import Neighborhood
from rungwise.datasets import make_adder, make_automaton, make_hierarchy, make_multiplier, make_parity
from rungwise.datasets._local_sets import VARIABLE, read_local_set
from rungwise.theory.hierarchical_model import HierarchicalModel

UNSEEN = "unseen rows"


@dataclass(frozen=True)
class Floor:
    """What must be reached: a measure of one set of test rows (or of the fit, where ``rows`` is None) and its limit."""

    measure: str
    limit: float
    at_most: bool = True
    rows: str | None = UNSEEN

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True)
class Task:
    """Data with a known hierarchy.

    Attributes
    ----------
    name, title : str
    X : ndarray of shape (n, d), or (n, n_positions, d)
    Y : float ndarray of shape (n, L), or (n, n_positions, L)
        {0, 1}; NaN where a label is not annotated.
    tests : dict of str to (X, Y)
        Sets of unseen rows with clean labels.
    level : int ndarray of shape (L,)
    parents : list of set of int
        Of each label, as indices of the inputs and, from d on, of the labels.
    floors : tuple of Floor
    neighborhood : Neighborhood or None
    noise_free : bool
        Whether the training labels are right, so that edges are judged.
    inputs_known : bool
        Whether ``parents`` includes the inputs that a label reads.
    """

    name: str
    title: str
    X: np.ndarray
    Y: np.ndarray
    tests: dict[str, tuple[np.ndarray, np.ndarray]]
    level: np.ndarray
    parents: list[set[int]]
    floors: tuple[Floor, ...]
    neighborhood: Neighborhood | None = None
    noise_free: bool = True
    inputs_known: bool = True


class Skipped(Exception):
    """Raised by a task that cannot be made here; the message says why."""


EXACT = (Floor("wrong values", 0),)
EDGES = (
    Floor("edge precision", 0.99, at_most=False, rows=None),
    Floor("edge recall", 0.99, at_most=False, rows=None),
)
MINUTE = (Floor("seconds", 60, rows=None),)


def _of_model(
    name: str,
    title: str,
    made: tuple[np.ndarray, np.ndarray, HierarchicalModel],
    n_test: int,
    floors: tuple[Floor, ...],
) -> Task:
    """Return a task whose last rows are unseen."""
    X, Y, model = made
    parents: list[set[int]] = [set() for _ in range(model.n_labels)]
    for parent, label in model.edges:
        parents[label].add(parent)
    tests = {UNSEEN: (X[-n_test:], Y[-n_test:])}
    return Task(name, title, X[:-n_test], Y[:-n_test].astype(float), tests, model.level, parents, floors)


def hierarchy(seed: int, quick: bool, name: str = "hierarchy", floors: tuple[Floor, ...] | None = None) -> Task:
    n, n_test, d, n_levels, n_labels = (1500, 1000, 20, 4, 8) if quick else (20_000, 10_000, 60, 8, 30)
    floors = (Floor("worst level", 0.001), *MINUTE, *EDGES) if floors is None else floors
    title = f"{d} inputs, {n_levels} levels x {n_labels} labels, {n:,} examples"
    made = make_hierarchy(n + n_test, d, n_levels, n_labels, random_state=seed)
    return _of_model(name, title, made, n_test, floors)


def thin(seed: int, quick: bool) -> Task:
    n, n_test, d, n_levels, n_labels = (1000, 1000, 20, 6, 8) if quick else (3000, 10_000, 60, 20, 20)
    title = f"{d} inputs, {n_levels} levels x {n_labels} labels, {n:,} examples"
    made = make_hierarchy(n + n_test, d, n_levels, n_labels, random_state=seed)
    return _of_model("thin", title, made, n_test, (Floor("worst level", 0.02), *EDGES))


def flipped(seed: int, quick: bool) -> Task:
    task = hierarchy(seed, quick, "flipped", (Floor("deepest level", 0.02),))
    flip = np.random.default_rng([seed, 1]).random(task.Y.shape) < 0.05
    title = f"{task.title}, 5 % of the training labels flipped"
    return Task(**{**vars(task), "title": title, "Y": np.where(flip, 1 - task.Y, task.Y), "noise_free": False})


def missing(seed: int, quick: bool) -> Task:
    task = hierarchy(seed, quick, "missing", (Floor("deepest level", 0.005), *EDGES))
    gone = np.random.default_rng([seed, 2]).random(task.Y.shape) < 0.5
    title = f"{task.title}, 50 % of the training labels missing"
    return Task(**{**vars(task), "title": title, "Y": np.where(gone, np.nan, task.Y)})


def parity(seed: int, quick: bool) -> Task:
    n, n_test, n_bits = (200, 500, 12) if quick else (1000, 10_000, 64)
    title = f"parity of {n_bits} bits by its {n_bits - 1} prefixes, {n:,} examples"
    return _of_model("parity", title, make_parity(n + n_test, n_bits, random_state=seed), n_test, EXACT + EDGES)


def multiplier(seed: int, quick: bool) -> Task:
    n, n_test, n_bits = (300, 500, 4) if quick else (1000, 10_000, 16)
    title = f"{n_bits}x{n_bits} multiplier, all internal signals, {n:,} examples"
    made = make_multiplier(n + n_test, n_bits, random_state=seed)
    return _of_model("multiplier", title, made, n_test, EXACT + MINUTE + EDGES)


def adder(seed: int, quick: bool) -> Task:
    n, n_test, n_bits = (300, 500, 6) if quick else (1000, 10_000, 64)
    made = make_adder(n + n_test, n_bits, random_state=seed)
    title = f"{n_bits}-bit adder, logical depth {made[2].level.max()}, {n:,} examples"
    return _of_model("adder", title, made, n_test, EXACT + EDGES)


def automaton(seed: int, quick: bool) -> Task:
    n, n_cells, n_steps = (10, 32, 8) if quick else (20, 128, 100)
    n_test = 20
    X, Y, level = make_automaton(n + n_test, 110, n_cells, n_steps, random_state=seed)
    X_long, Y_long, _ = make_automaton(n_test, 110, 2 * n_cells, n_steps, random_state=seed + 1000)
    longer = f"ring of {2 * n_cells}"
    return Task(
        "automaton",
        f"rule 110, ring of {n_cells}, {n_steps} steps, {n} trajectories",
        X[:n],
        Y[:n].astype(float),
        {UNSEEN: (X[n:], Y[n:]), longer: (X_long, Y_long)},
        level,
        # The one input is entry 0 of the stream, the state after step t is entry t; each is read at three positions.
        [{step} for step in range(n_steps)],
        (*EXACT, Floor("wrong values", 0, rows=longer), *EDGES),
        Neighborhood.ring(),
    )


def c432_some(seed: int, quick: bool) -> Task:
    return _c432("c432_some", ("train_idx",), 500 if quick else 2000, 0.95)


def c432_all(seed: int, quick: bool) -> Task:
    return _c432("c432_all", ("train_idx", "valid_idx"), 1000 if quick else None, 0.999)


def _c432(name: str, parts: tuple[str, ...], n: int | None, floor: float) -> Task:
    given = os.environ.get(VARIABLE, "")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    path = folder / "iscas85_c432.npz"
    if not path.is_file():
        raise Skipped(f"{path.name} is not in the folder named by {VARIABLE}, or without it in ../shared/data")
    stored = read_local_set(path.stem, path)
    rows = np.concatenate([stored[part] for part in parts])[:n]
    d = stored.X.shape[1]
    parents: list[set[int]] = [set() for _ in range(stored.Y.shape[1])]
    for label, parent in stored.label_edges.tolist():  # for scoring only
        parents[label].add(d + parent)
    X, test = 2 * stored.X - 1, stored.test_idx
    return Task(
        name,
        f"iscas85_c432, all {len(parents)} gates, {len(rows):,} examples",
        X[rows],
        stored.Y[rows].astype(float),
        {UNSEEN: (X[test], stored.Y[test])},
        stored.label_depth.astype(int),
        parents,
        (Floor("rows all right", floor, at_most=False), *EDGES),
        inputs_known=False,
    )


TASKS: dict[str, Callable[[int, bool], Task]] = {
    "hierarchy": hierarchy,
    "thin": thin,
    "flipped": flipped,
    "missing": missing,
    "parity": parity,
    "multiplier": multiplier,
    "c432_some": c432_some,
    "c432_all": c432_all,
    "automaton": automaton,
    "adder": adder,
}
