"""The learners that the demo compares: ours and three peers, each with fixed settings.

Where a setting was a choice, it was made on pairs of training images alone. The logistic chain and the MLP see the
pixels as they are: standardised, both had more errors at each of 100, 300 and 1,000 pairs.
"""

from collections.abc import Callable
from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier

from rungwise.estimator import RungwiseClassifier

OURS = "rungwise"


def blockwise_network() -> RungwiseClassifier:
    """Return our learner as it is by default, but for the scale (all pixels count ink) and the depth.

    The labels have three levels; a block for each keeps the demo near a minute.
    """
    return RungwiseClassifier(scale="range", max_depth=3, random_state=0)


def logistic_chain() -> Any:
    """Return logistic regressions, each of which also reads the labels before it; the order is from easy to hard."""
    return ClassifierChain(LogisticRegression(max_iter=1000))


def random_forest() -> Any:
    """Return 200 trees."""
    return RandomForestClassifier(200, n_jobs=-1, random_state=0)


def end_to_end_network() -> Any:
    """Return a network of 200,000 weights, as many as two of our readouts have, trained on all its labels at once.

    It trains until the loss stalls. Stopping early on a tenth of the rows was far worse at 300 pairs, where that tenth
    is 30 rows (35 % of verdicts wrong instead of 21 %), and no better at 1,000 or 3,000 (on standardised pixels).
    """
    return MLPClassifier((512, 256), max_iter=500, random_state=0)


LEARNERS: dict[str, Callable[[], Any]] = {
    OURS: blockwise_network,
    "logistic chain": logistic_chain,
    "random forest": random_forest,
    "MLP": end_to_end_network,
}
