"""The learners that the claim of the depth limit compares.

Ours and the cascades see all labels of the circuit; kernels and networks those that are judged. Peers choose their
settings on a tenth of the training rows.
"""

import time
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from benchmarks._problem import Problem, validation_rows, windows
from benchmarks._resnet import MAX_BLOCKS, end_to_end
from paper._depth_tasks import DepthTask
from rungwise import RungwiseClassifier
from rungwise.theory import relu_kernel

KERNEL_DEPTHS = (1, 2, 4, 8)
KERNEL_BETA = 0.5
KERNEL_PENALTIES = tuple(10.0**k for k in range(-4, 4))


@dataclass(frozen=True)
class Outcome:
    """Error on the test rows of the judged labels, seconds of training with the search for settings, and a remark."""

    error: float
    seconds: float
    note: str
    blocks: int | None = None


def ours(task: DepthTask, seed: int) -> Outcome:
    """Learn with the default settings."""
    began = time.perf_counter()
    fitted = RungwiseClassifier(neighborhood=task.neighborhood, random_state=seed).fit(task.X, task.Y)
    seconds = time.perf_counter() - began
    return Outcome(_error(fitted.predict(task.X_test), task.Y_test, task.judged), seconds, "", fitted.n_blocks_)


def log_depth(task: DepthTask) -> int:
    """Return the number of blocks of a cascade of logarithmic depth: log2 of the depth, and at least one."""
    return max(1, ceil(log2(task.depth)))


def cascade(task: DepthTask, seed: int) -> Outcome:
    """Learn in at most log2(depth) blocks: with gates first, or with forests alone, whichever is better."""
    kinds = {"medium": "gates first", "low": "forests alone"}
    began = time.perf_counter()
    valid = validation_rows(len(task.X), seed)
    errors, found = {}, {}
    for effort in kinds:
        learner = RungwiseClassifier(
            effort=effort, max_depth=log_depth(task), neighborhood=task.neighborhood, random_state=seed
        )
        fitted = learner.fit(task.X[~valid], task.Y[~valid])
        errors[effort] = _error(fitted.predict(task.X[valid]), task.Y[valid], task.judged)
        found[effort] = fitted
    best = min(errors, key=errors.__getitem__)
    error = _error(found[best].predict(task.X_test), task.Y_test, task.judged)
    n_blocks = found[best].n_blocks_
    return Outcome(error, time.perf_counter() - began, f"{n_blocks} blocks, {kinds[best]}", n_blocks)


def kernels(task: DepthTask, seed: int) -> dict[int, Outcome]:
    """Learn by kernel ridge regression with the kernel of a random ReLU network of each depth."""
    X, Y, X_test, Y_test = _flat(task)
    signs = np.where(Y > 0, 1.0, -1.0)
    valid = validation_rows(len(X), seed)
    return {depth: _kernel_ridge(depth, X, signs, valid, X_test, Y_test) for depth in KERNEL_DEPTHS}


def _kernel_ridge(
    depth: int, X: np.ndarray, signs: np.ndarray, valid: np.ndarray, X_test: np.ndarray, Y_test: np.ndarray
) -> Outcome:
    """Choose the penalty on the validation rows, then fit again on all rows."""
    began = time.perf_counter()
    kernel = network_kernel(X, X, depth)
    inner, across = kernel[np.ix_(~valid, ~valid)], kernel[np.ix_(valid, ~valid)]
    errors = {}
    for penalty in KERNEL_PENALTIES:
        dual = _solve(inner, penalty, signs[~valid])
        if dual is not None:
            errors[penalty] = float(((across @ dual > 0) != (signs[valid] > 0)).mean())
    # Of equally good ones the largest.
    best = min(reversed(errors), key=errors.__getitem__)
    dual = _solve(kernel, best, signs)
    error = float(((network_kernel(X_test, X, depth) @ dual > 0) != (Y_test > 0)).mean())
    return Outcome(error, time.perf_counter() - began, f"penalty {best:g}")


def _solve(kernel: np.ndarray, penalty: float, signs: np.ndarray) -> np.ndarray | None:
    """Return (K + penalty I)^-1 y; None if that is not positive definite to the last digit."""
    try:
        return cho_solve(cho_factor(kernel + penalty * np.eye(len(kernel)), overwrite_a=True), signs)
    except LinAlgError:
        return None


def network_kernel(X: np.ndarray, Z: np.ndarray, depth: int) -> np.ndarray:
    """Return the dual kernel of random ReLU networks of so many hidden layers, for rows of ±1.

    κ_0 = <x, z> / N, κ_l = 2 k(β² + (1 - β²) κ_{l-1}), k the dual kernel of ReLU: 1 where x = z.

    Parameters
    ----------
    X, Z : array of shape (n, N) and (m, N), of ±1
    depth : int, at least 1

    Returns
    -------
    kernel : float array of shape (n, m)
    """
    N = X.shape[1]
    values = np.arange(-N, N + 1) / N  # ±1 rows have few inner products: each is looked up
    for _ in range(depth):
        values = 2 * relu_kernel(np.clip(KERNEL_BETA**2 + (1 - KERNEL_BETA**2) * values, -1, 1))
    inner = (X.astype(np.float32) @ Z.T.astype(np.float32)).round().astype(np.int64)  # exact: small whole numbers
    return values[inner + N]


def shallow_network(task: DepthTask, seed: int, budget: float, quick: bool) -> Outcome:
    """Learn by a network of one hidden layer, which sees all that the judged labels depend on at once."""
    X, Y, X_test, Y_test = _flat(task)
    flat = DepthTask(task.family, task.depth, X, Y, X_test, Y_test, np.arange(Y.shape[1]))
    return _network(flat, seed, budget, quick, n_blocks=1)


def deep_network(task: DepthTask, seed: int, budget: float, quick: bool) -> Outcome:
    """Learn by a residual network, end to end, of two blocks more than the depth (at most 32)."""
    return _network(task, seed, budget, quick, n_blocks=min(task.depth + 2, MAX_BLOCKS))


def _network(task: DepthTask, seed: int, budget: float, quick: bool, n_blocks: int) -> Outcome:
    Y, judged = task.Y.astype(float), task.judged
    problem = Problem(task.X, Y, [task.X_test], task.depth, judged, task.neighborhood, budget, seed, quick)
    began = time.perf_counter()
    *_, answer = end_to_end(problem, judged, n_blocks)
    seconds = time.perf_counter() - began
    return Outcome(_error(answer.predictions[0], task.Y_test, judged), seconds, answer.note)


def _flat(task: DepthTask) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return X and Y, of the judged labels, and those of the test rows, a row for each position.

    A row holds the cells that can have reached the position in so many steps.
    """
    Y, Y_test = (part[..., task.judged].reshape(-1, len(task.judged)) for part in (task.Y, task.Y_test))
    if task.neighborhood is None:
        return task.X, Y, task.X_test, Y_test
    size = min(2 * task.depth + 1, task.X.shape[1])
    return windows(task.X, size), Y, windows(task.X_test, size), Y_test


def _error(predicted: np.ndarray, Y: np.ndarray, judged: np.ndarray) -> float:
    return float((predicted[..., judged] != Y[..., judged]).mean())
