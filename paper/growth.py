"""Claim: the examples, the width and the depth that are needed grow polynomially.

Paper (arXiv 2601.00455), section 4, theorem 4.3: width and number of examples polynomial in (n, d)^K, M and 1 / ε are
enough, and r blocks, for an (r, K, M)-hierarchy of n labels over d inputs. Random features cannot be told which of the
N entries of the stream matter: they learn all monomials of degree up to K at once, about N^K / K! of them.

Measured: the least that brings the error on unseen rows to 1 % on every level, where one thing grows and all else is
fixed. All labels are parities: the hardest functions of K entries, as no lower degree helps.

- "inputs": n labels, each a parity of K of d inputs; d grows, K = 1, 2, 3; and the width, K = 2;
- "degree": the same; K grows;
- "labels": two levels of n labels, the upper ones parities of two of the lower ones; n grows;
- "depth": prefixes of bits, each a parity of the one before and a bit; the number of levels r grows.

For comparison the number of monomials that the last block has to learn, and our sparse features, which look for the
entries that matter (not part of the claim).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from paper._exponents import fewest, n_monomials, slope
from paper._features import BETA, random_features
from paper._markdown import markdown_table
from paper._stages import blocks_needed, errors_by_level, staged_errors
from rungwise import RungwiseClassifier
from rungwise.datasets import make_parity
from rungwise.theory.boolean import parity
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction

TITLE = "What it costs: examples, width and blocks"
TARGET = 0.01
N_TEST = 2000
N_LABELS = 8
GRID = tuple(round(8 * 2 ** (k / 4)) for k in range(41))
"""Numbers of examples or of hidden units that are tried, a fifth apart."""


@dataclass(frozen=True)
class Series:
    """One thing that grows.

    Attributes
    ----------
    needed : {"examples", "width", "blocks"}
        What is counted.
    grows : {"inputs", "labels", "depth", "degree"}
    values : tuple of int
        What it grows through.
    fixed : dict of str to int
        "inputs", "labels", "depth" and "degree", but the one that grows; "examples" and "width", but what is counted.
    features : {"random", "sparse"}
    """

    needed: str
    grows: str
    values: tuple[int, ...]
    fixed: dict[str, int]
    features: str = "random"

    @property
    def name(self) -> str:
        kept = ", ".join(f"{key} {value:,}" for key, value in self.fixed.items() if key not in ("examples", "width"))
        return f"{self.needed} over {self.grows} ({self.features}; {kept})"


def series(quick: bool) -> list[Series]:
    """Return what is measured. Sizes are as large as the time allows: a fit takes about the cube of the monomials."""
    # Wide beside what is needed of the examples: else more of them make up for the width, and the slope is steeper.
    width = 1024 if quick else 4096
    depths = (1, 2, 4) if quick else (1, 2, 3, 4)
    inputs = {1: (10, 20, 40), 2: (10, 13, 17), 3: (10, 12, 14)}
    if not quick:
        inputs = {1: (12, 25, 50, 100), 2: (12, 16, 20, 26), 3: (10, 12, 14, 16)}
    flat = {"labels": N_LABELS, "depth": 1}
    two_levels = {"inputs": 12, "degree": 2, "depth": 2, "width": width}
    chain = {"inputs": 12, "labels": 1, "degree": 2, "width": width}
    return [
        *(Series("examples", "inputs", d, {"degree": k, **flat, "width": width}) for k, d in inputs.items()),
        Series("examples", "inputs", (12, 32, 100), {"degree": 2, **flat}, "sparse"),
        Series("width", "inputs", inputs[2], {"degree": 2, **flat, "examples": 2000 if quick else 4000}),
        Series("examples", "degree", (1, 2, 3), {"inputs": 11 if quick else 12, **flat, "width": width}),
        Series("examples", "labels", (4, 6, 9, 13), two_levels),
        Series("blocks", "depth", depths, {**chain, "examples": 1200}),
        Series("examples", "depth", depths, chain),
    ]


def measure(quick: bool, seed: int, report: Callable[[str], None]) -> dict:
    found = []
    for one in series(quick):
        began = time.perf_counter()
        points = []
        for value in one.values:
            sizes = {**one.fixed, one.grows: value}
            start = 2 * _monomials(sizes)
            for repeat in range(1 if quick else 2):
                report(f"{one.name}: {value}, seed {repeat}")
                least = _least(one, sizes, start, 1000 * seed + repeat)
                points.append(
                    {"value": value, "seed": 1000 * seed + repeat, "least": least, "monomials": _monomials(sizes)}
                )
                start = least or start
        found.append(
            {
                "name": one.name,
                "needed": one.needed,
                "grows": one.grows,
                "features": one.features,
                "fixed": one.fixed,
                "points": points,
                **_slopes(points, one.grows),
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    return {"target": TARGET, "test rows": N_TEST, "beta": BETA, "series": found}


def _monomials(sizes: dict[str, int]) -> int:
    """Return how many monomials the last block has to learn, of the inputs and the labels learned below."""
    below = sizes["labels"] * (sizes["depth"] - 1)
    return n_monomials(sizes["inputs"] + below, sizes["degree"])


def _least(one: Series, sizes: dict[str, int], start: int, seed: int) -> int | None:
    """Return the least number that is enough, None if nothing tried is."""
    if one.needed == "blocks":
        needed = blocks_needed(_errors(sizes, one.features, seed), TARGET)
        return None if None in needed else max(block for block in needed if block is not None)

    def is_enough(n: int) -> bool:
        return max(_errors({**sizes, one.needed: n}, one.features, seed)[-1]) <= TARGET

    return fewest(is_enough, GRID, int(np.searchsorted(GRID, start)))


def _errors(sizes: dict[str, int], features: str, seed: int) -> list[list[float]]:
    """Fit, and return the error on unseen rows after every block, by level."""
    n = sizes["examples"]
    X, Y, level = _make(sizes, n + 2 * N_TEST, seed)
    rows = np.packbits(X > 0, axis=1)
    rows = rows.view(f"V{rows.shape[1]}").ravel()
    unseen = n + np.flatnonzero(~np.isin(rows[n:], rows[:n]))[:N_TEST]
    fitted = RungwiseClassifier(
        random_features(sizes["width"]) if features == "random" else features,
        max_depth=2 * sizes["depth"],
        random_state=seed,
    ).fit(X[:n], Y[:n])
    return errors_by_level(staged_errors(fitted, X[unseen], Y[unseen]), level)


def _make(sizes: dict[str, int], n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n rows of X and Y, and the level of each label."""
    d, n_labels, depth, degree = (sizes[key] for key in ("inputs", "labels", "depth", "degree"))
    if n_labels == 1:
        X, Y, model = make_parity(n, d, random_state=seed)
        return X, Y[:, :depth], model.level[:depth]
    rng = np.random.default_rng(seed)
    parents = [_subsets(rng, range(d), degree, n_labels)]
    if depth == 2:
        parents.append(_subsets(rng, range(d, d + n_labels), degree, n_labels, parents[0]))
    functions = [
        LabelFunction(f"label_{i}_{j}", of, parity(degree), "parity")
        for i, level in enumerate(parents)
        for j, of in enumerate(level)
    ]
    X = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), size=(n, d))
    model = HierarchicalModel(d, functions)
    return X, (model(X) > 0).astype(np.int8), np.repeat(np.arange(1, depth + 1), n_labels)


def _subsets(
    rng: np.random.Generator,
    entries: range,
    size: int,
    n_subsets: int,
    below: list[tuple[int, ...]] | None = None,
) -> list[tuple[int, ...]]:
    """Return distinct subsets; of labels below only those that share no input, or their parity would be simpler."""
    chosen: dict[tuple[int, ...], None] = {}
    while len(chosen) < n_subsets:
        subset = tuple(sorted(rng.choice(entries, size, replace=False).tolist()))
        read = [entry for label in subset for entry in below[label - entries[0]]] if below else []
        if len(set(read)) == len(read):
            chosen[subset] = None
    return list(chosen)


def _slopes(points: list[dict], grows: str) -> dict:
    """Return the exponents of what is needed and of the monomials; over the degree, logarithms of factors for each."""
    known = [point for point in points if point["least"] is not None]
    if len({point["value"] for point in known}) < 3:  # a line through two points always fits
        return {"slope": None, "monomials slope": None}
    values = [point["value"] for point in known]
    x = values if grows == "degree" else np.log(values)
    return {
        "slope": slope(x, np.log([point["least"] for point in known])).to_dict(),
        "monomials slope": slope(x, np.log([point["monomials"] for point in known])).to_dict(),
    }


def draw(result: dict, figure: Any) -> None:
    groups: dict[tuple[str, str], list[dict]] = {}
    for one in result["series"]:
        groups.setdefault((one["needed"], one["grows"]), []).append(one)
    figure.set_size_inches(13, 8)
    for panel, ((needed, grows), members) in zip(figure.subplots(2, 3).flat, groups.items(), strict=True):
        for place, one in enumerate(members):
            known = [point for point in one["points"] if point["least"] is not None]
            values = [point["value"] for point in known]
            label = one["features"] + (f", K = {one['fixed']['degree']}" if grows == "inputs" else "")
            panel.plot(values, [point["least"] for point in known], "o", color=f"C{place}", label=_with(label, one))
            if one["features"] == "random" and needed != "blocks":
                panel.plot(values, [point["monomials"] for point in known], "--", color=f"C{place}", linewidth=1)
        panel.set_xscale("linear" if grows == "degree" else "log")
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter("{x:,.0f}")
        ticks = sorted({value for one in members for value in _values(one["points"])})
        panel.set_xticks(ticks, [str(value) for value in ticks], fontsize=8)
        panel.minorticks_off()
        panel.set(xlabel=grows, ylabel=f"least {needed}" + ("" if needed == "blocks" else " (dashed: monomials)"))
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _with(label: str, one: dict) -> str:
    return label if one["slope"] is None else f"{label}: slope {_slope_text(one['slope'])}"


def describe(result: dict) -> str:
    unknown = sum(point["least"] is None for one in result["series"] for point in one["points"])
    return f"""\
The least that brings the error on up to {result["test rows"]:,} unseen rows to {result["target"]:.0%} on every level,
and the slope of its logarithm over the logarithm of what grows (over the degree itself: the logarithm of the factor for
each degree). "Monomials" is the same slope for the number of monomials of degree up to K that the last block must
learn, among d inputs and the labels below: the exponent to expect at these sizes, as random features are not told which
entries matter. Features: σ = erf, β = {result["beta"]:g}.

{_table(result["series"])}

Where this is not the theorem's setting: it bounds what is enough, for every hierarchy, with exponents that are
multiples of K; measured is what is needed, for parities of uniformly random bits. The exponents are those of a finite
range, found on a grid of factors 2^(1/4). Width is fixed where examples are counted, and examples where width is: where
one comes near to what is needed of the other, more of the other is needed, and the slope is steeper than that of the
monomials. K = 4 is not measured: its monomials are too many for the time. Estimates are out-of-fold and penalties are
chosen by them. Fewer blocks than levels can be enough, since a block learns more than one level where degrees above K
are still cheap. Sparse features are ours: they look for the entries that matter. A dash: what was tried was not enough,
at the fixed width and examples ({unknown} runs); slopes are told where there are answers for three sizes."""


def _table(found: list[dict]) -> str:
    head = ("needed", "grows", "features", "fixed", "least, mean over seeds", "slope", "monomials", "s")
    rows = []
    for one in found:
        slopes = [_slope_text(one["slope"]), _slope_text(one["monomials slope"])]
        if one["features"] != "random" or one["needed"] == "blocks":
            slopes[1] = "–"
        rows.append(
            (
                one["needed"],
                one["grows"],
                one["features"],
                ", ".join(f"{key} {value:,}" for key, value in one["fixed"].items()),
                ", ".join(f"{value}: {_mean(one['points'], value)}" for value in _values(one["points"])),
                *slopes,
                f"{one['seconds']:.0f}",
            )
        )
    return markdown_table(head, rows)


def _values(points: list[dict]) -> list[int]:
    return sorted({point["value"] for point in points})


def _mean(points: list[dict], value: int) -> str:
    """Return the geometric mean of what was needed, a dash where there is none for some seed."""
    least = [point["least"] for point in points if point["value"] == value]
    return "–" if None in least else f"{np.exp(np.mean(np.log(least))):,.0f}"


def _slope_text(slope: dict | None) -> str:
    if slope is None:
        return "–"
    return f"{slope['value']:.2f}" + ("" if slope["standard_error"] is None else f" ± {slope['standard_error']:.2f}")
