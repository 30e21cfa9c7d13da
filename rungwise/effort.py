"""The presets of ``features="auto"``: which kinds of features a block blends, and how much of each."""

from collections.abc import Sequence

from rungwise.features import (
    FeatureMap,
    HonestFeatureMap,
    KernelFeatures,
    LabelFeatures,
    LearnedFeatures,
    LinearFeatures,
    RandomFeatures,
    SparseFeatures,
    TreeFeatures,
)
from rungwise.fitting.gate_search import GateSettings

EFFORTS = ("low", "medium", "high")

Preset = tuple[Sequence[FeatureMap | HonestFeatureMap], GateSettings | None]
"""Feature maps, and what gates to look for first, if any."""

# Low effort stops while blocks may still gain: later ones cost as much, and give next to nothing on most tables.
_MOST_BLOCKS, _MOST_AT_LOW_EFFORT = 500, 3
# Many rows make good estimates with fewer trees and landmarks, whose cost grows with the rows.
_MANY_ROWS = 10_000
# Of many labels most are rare, and a forest tells small probabilities apart by the number of its trees. Growing one
# of so many labels costs little more than of 64 (`rungwise.features.trees`).
_MANY_LABELS = 200


def most_blocks(features: object, effort: str) -> int:
    """Return how many blocks a fit with these parameters of the estimator may have, if nobody says."""
    return _MOST_AT_LOW_EFFORT if features == "auto" and effort == "low" else _MOST_BLOCKS


def preset(effort: str, n_rows: int, n_labels: int) -> Preset:
    """Return the feature maps of an effort for a table of some size, and what gates to look for first.

    Fit times as multiples of a random forest of 300 trees are in docs/real_data.md.
    """
    if effort == "low":
        return [TreeFeatures(55, "best"), TreeFeatures(55, "random")], None
    n_trees, n_landmarks = _sizes(effort, n_rows, n_labels)
    width, label_width = (512, 512) if effort == "medium" else (2048, 1024)
    features: list[FeatureMap | HonestFeatureMap] = [
        TreeFeatures(n_trees, "best", breadth=2),
        TreeFeatures(n_trees, "random", breadth=2),
        TreeFeatures(n_trees, "best", min_leaf=5),
        KernelFeatures(n_landmarks),
        RandomFeatures(width),
        LabelFeatures(RandomFeatures(label_width)),
    ]
    if effort == "high":
        return [*features, LinearFeatures(), LearnedFeatures(), SparseFeatures()], GateSettings()
    # Labels that are functions of measurements cut them anywhere. Forests find where; quantiles miss it.
    return features, GateSettings(n_quantiles=0)


def _sizes(effort: str, n_rows: int, n_labels: int) -> tuple[int, int]:
    """Return how many trees each forest has, and how many landmarks the kernel, of medium or high effort."""
    if effort == "medium" and n_rows > _MANY_ROWS:
        return 60, 600
    return (240, 1500) if effort == "high" or n_labels > _MANY_LABELS else (90, 1000)
