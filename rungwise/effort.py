"""The presets of ``features="auto"``: which kinds of features a block blends, and how much of each."""

from collections.abc import Sequence

from rungwise.features import (
    BoostedFeatures,
    FeatureMap,
    HonestFeatureMap,
    KernelFeatures,
    LabelFeatures,
    LearnedFeatures,
    RandomFeatures,
    SparseFeatures,
    TreeFeatures,
)
from rungwise.fitting.gate_search import GateSettings

EFFORTS = ("low", "medium", "high")

Preset = tuple[Sequence[FeatureMap | HonestFeatureMap], GateSettings | None]
"""Feature maps, and what gates to look for first, if any."""

# Low effort stops while blocks may still gain: later ones cost as much, and give next to nothing on most tables.
_MOST_BLOCKS, _MOST_AT_LOW_EFFORT = 500, 2
# Many rows make good estimates with fewer trees, whose cost grows with the rows.
_MANY_ROWS = 10_000
# Of many labels most are rare, and a forest tells small probabilities apart by the number of its trees. Growing one
# of so many labels costs little more than of 64 (`rungwise.features.trees`).
_MANY_LABELS = 200
# The more rows there are, the finer a function may be; the cost of a kernel grows with the square of its landmarks.
_LEAST_LANDMARKS, _LANDMARKS_OF_ROWS, _MOST_LANDMARKS = 1000, 0.4, 2000
# The cost of a kernel hardly depends on the labels, that of a forest does: with few labels a kernel would take most of
# the time, and has fewer landmarks.
_FEWEST_LANDMARKS, _LANDMARKS_OF_LABELS = 800, 400
# A kernel's values at so many pairs of a row and a landmark fill a fifth of a gigabyte, and a fit holds several such
# tables. On very many rows they may fill more, for fewer landmarks would be too coarse.
_MOST_PAIRS, _COARSE = 5e7, 600


def most_blocks(features: object, effort: str) -> int:
    """Return how many blocks a fit with these parameters of the estimator may have, if nobody says."""
    return _MOST_AT_LOW_EFFORT if features == "auto" and effort == "low" else _MOST_BLOCKS


def preset(effort: str, n_rows: int, n_labels: int) -> Preset:
    """Return the feature maps of an effort for a table of some size, and what gates to look for first.

    Fit times as multiples of a random forest of 300 trees are in docs/real_data.md.
    """
    n_trees, n_landmarks = _sizes(effort, n_rows, n_labels)
    if effort == "low":
        forests = [TreeFeatures(n_trees, split, breadth=2) for split in ("best", "random")]
        return [*forests, KernelFeatures(n_landmarks)], None
    width, label_width = (512, 512) if effort == "medium" else (2048, 1024)
    features: list[FeatureMap | HonestFeatureMap] = [
        TreeFeatures(n_trees, "best", breadth=2),
        TreeFeatures(n_trees, "random", breadth=2, balanced=True),
        TreeFeatures(n_trees, "best", min_leaf=5),
        KernelFeatures(n_landmarks),
        RandomFeatures(width),
        LabelFeatures(RandomFeatures(label_width)),
    ]
    if effort == "high":
        # A booster takes a step for every row, label and tree, one after another.
        boosted = [BoostedFeatures()] if n_labels <= _MANY_LABELS else []
        return [*features, *boosted, LearnedFeatures(), SparseFeatures()], GateSettings()
    # Labels that are functions of measurements cut them anywhere. Forests find where; quantiles miss it.
    return features, GateSettings(n_quantiles=0)


def _sizes(effort: str, n_rows: int, n_labels: int) -> tuple[int, int]:
    """Return how many trees each forest has, and how many landmarks the kernel."""
    n_landmarks = min(max(_LEAST_LANDMARKS, int(_LANDMARKS_OF_ROWS * n_rows)), _MOST_LANDMARKS)
    n_landmarks = min(n_landmarks, max(_COARSE, int(_MOST_PAIRS / n_rows)))
    if effort != "high":
        n_landmarks = min(n_landmarks, max(_FEWEST_LANDMARKS, _LANDMARKS_OF_LABELS * n_labels))
    if effort == "low":
        return 40, n_landmarks // 2
    if effort == "medium" and n_rows > _MANY_ROWS:
        return 60, n_landmarks
    return (240, 3 * n_landmarks // 2) if effort == "high" or n_labels > _MANY_LABELS else (90, n_landmarks)
