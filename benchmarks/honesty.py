"""How honest the honest losses are, on generated data where fresh rows are free: python -m benchmarks.honesty.

Of 20 normal inputs, five labels are signs of noisy linear functions, five are majorities of three of these with 15 % of
the values flipped, and five are coins. Of 4 normal inputs two labels are noisy smooth functions, and the second hears
the noise of the first. After each block the honest loss of the training rows is compared with the loss of the same
network on 20,000 fresh rows; the difference is the leak (negative: the honest loss is too good). A mean over labels of
a group, and over data sets, with its standard error between data sets. Harm is how much the blocks after the first
raised the loss on fresh rows, in percent; below 0 they lowered it.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rungwise import RungwiseClassifier
from rungwise.fitting.losses import SquaredLoss

N_FRESH = 20_000
N_INPUTS, N_EACH = 20, 5
N_FEW_INPUTS, N_HIDDEN = 4, 4
GROUPS = {"linear": slice(0, 5), "majorities": slice(5, 10), "coins": slice(10, 15)}
LEARNERS = {
    "trees": {"features": "trees"},
    "boosted": {"features": "boosted"},
    "kernel": {"features": "kernel"},
    "random": {"features": "random"},
    "sparse": {"features": "sparse"},
    "low effort": {"effort": "low"},
    "medium effort": {"effort": "medium"},
}


def make(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return X, Y of n rows and of fresh ones; Y is ±1."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n + N_FRESH, N_INPUTS))
    weights = random.standard_normal((N_INPUTS, N_EACH)) * (random.random((N_INPUTS, N_EACH)) < 0.25)
    first = np.where(X @ weights + random.standard_normal((len(X), N_EACH)) > 0, 1.0, -1.0)
    members = np.stack([random.permutation(N_EACH)[:3] for _ in range(N_EACH)])
    flips = np.where(random.random((len(X), N_EACH)) < 0.15, -1.0, 1.0)
    second = np.sign(first[:, members].sum(2)) * flips
    coins = np.where(random.random((len(X), N_EACH)) < 0.5, 1.0, -1.0)
    Y = np.hstack([first, second, coins])
    return X[:n], Y[:n], X[n:], Y[n:]


def make_few(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of few inputs, with two labels: noisy smooth functions, the second of the first as well."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n + N_FRESH, N_FEW_INPUTS))
    score = np.tanh(X @ random.standard_normal((N_FEW_INPUTS, N_HIDDEN))) @ random.standard_normal(N_HIDDEN)
    first = np.sign(score + random.standard_normal(len(X)))
    second = np.sign(score + first + random.standard_normal(len(X)))
    Y = np.column_stack([first, second])
    return X[:n], Y[:n], X[n:], Y[n:]


DATA = {"20 inputs": (make, GROUPS), "4 inputs": (make_few, {"noisy": slice(0, 2)})}


def leaks(data: str, settings: dict, n: int, seed: int) -> np.ndarray:
    """Return honest and fresh losses after each block, (n_blocks, 2, n_labels)."""
    draw, _ = DATA[data]
    X, Y, X_fresh, Y_fresh = draw(n, seed)
    clf = RungwiseClassifier(random_state=seed, **settings).fit(X, Y)
    like = next(clf.network_.parameters())
    x = torch.from_numpy(clf.standardizer_.transform(X_fresh)).to(like)
    with torch.no_grad():
        stages = clf.network_(x, return_all=True)[1:]
    fresh = SquaredLoss().value(stages, torch.from_numpy(Y_fresh).to(like)).mean(1).double().numpy()
    honest = clf.history_.pivot(index="block", columns="label", values="loss_after")[clf.label_names_].to_numpy()
    return np.stack([honest, fresh], axis=1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--seeds", type=int, default=8, help="so many data sets")
    options = parser.parse_args(arguments)
    with Console().status("fits"):
        tables = [table_of(data, options.rows, options.seeds) for data in DATA]
    for table in tables:
        Console(width=120).print(table)


def table_of(data: str, rows: Sequence[int], n_sets: int) -> Table:
    """Return leaks and harm of every learner, on so many data sets of each number of rows."""
    _, groups = DATA[data]
    table = Table("rows", "learner", "block", "sets", *groups, "harm, %", title=f"honest minus fresh loss, {data}")
    for n in rows:
        for name, settings in LEARNERS.items():
            found, harm = defaultdict(list), []
            for seed in range(n_sets):
                losses = leaks(data, settings, n, seed)
                for block, (honest, fresh) in enumerate(losses[:3], start=1):
                    found[str(block)].append(honest - fresh)
                found["last"].append(losses[-1, 0] - losses[-1, 1])
                fresh_losses = losses[:, 1].mean(1)
                harm.append(100 * (fresh_losses[-1] / fresh_losses[0] - 1))
            for block, differences in found.items():
                cells = [_mean(np.array(differences)[:, group].mean(1)) for group in groups.values()]
                cells.append(_mean(np.array(harm), digits=2) if block == "last" else "")
                table.add_row(f"{n:,}", name, block, str(len(differences)), *cells)
    return table


def _mean(values: np.ndarray, digits: int = 4) -> str:
    mean = f"{values.mean():+.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {values.std(ddof=1) / len(values) ** 0.5:.{digits}f}"


if __name__ == "__main__":
    main()
