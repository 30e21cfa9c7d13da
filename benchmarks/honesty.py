"""How honest the honest losses are, on generated data where fresh rows are free: python -m benchmarks.honesty.

Of 20 normal inputs, five labels are signs of noisy linear functions, five are majorities of three of these with 15 % of
the values flipped, and five are coins. After each block the honest loss of the training rows is compared with the loss
of the same network on 20,000 fresh rows; the difference is the leak (negative: the honest loss is too good). A mean
over labels of a group, and over data sets, with its standard error between data sets.
"""

import argparse
from collections import defaultdict

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rungwise import RungwiseClassifier
from rungwise.fitting.losses import SquaredLoss

N_INPUTS, N_EACH, N_FRESH = 20, 5, 20_000
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


def leaks(settings: dict, n: int, seed: int) -> np.ndarray:
    """Return honest and fresh losses after each block, (n_blocks, 2, n_labels)."""
    X, Y, X_fresh, Y_fresh = make(n, seed)
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
    table = Table("rows", "learner", "block", "sets", *GROUPS, title="honest minus fresh loss")
    for n in options.rows:
        for name, settings in LEARNERS.items():
            found = defaultdict(list)
            for seed in range(options.seeds):
                losses = leaks(settings, n, seed)
                for block, (honest, fresh) in enumerate(losses[:3], start=1):
                    found[str(block)].append(honest - fresh)
                found["last"].append(losses[-1, 0] - losses[-1, 1])
            for block, differences in found.items():
                cells = [_mean(np.array(differences)[:, group].mean(1)) for group in GROUPS.values()]
                table.add_row(f"{n:,}", name, block, str(len(differences)), *cells)
    Console(width=120).print(table)


def _mean(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values.mean():+.4f}"
    return f"{values.mean():+.4f} ± {values.std(ddof=1) / len(values) ** 0.5:.4f}"


if __name__ == "__main__":
    main()
