"""The presets of ``features="auto"``: which kinds of features a block blends, and how much of each."""

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

# Low effort stops while blocks may still gain: later ones cost as much, and give next to nothing on most tables.
_MOST_BLOCKS, _MOST_AT_LOW_EFFORT = 500, 3


def most_blocks(features: object, effort: str) -> int:
    """Return how many blocks a fit with these parameters of the estimator may have, if nobody says."""
    return _MOST_AT_LOW_EFFORT if features == "auto" and effort == "low" else _MOST_BLOCKS


def preset(effort: str) -> tuple[list[FeatureMap | HonestFeatureMap], GateSettings | None]:
    """Return the feature maps of an effort, and what gates to look for first.

    Fit times as multiples of a random forest of 300 trees are in docs/real_data.md.
    """
    if effort == "low":
        return [TreeFeatures(55, "best"), TreeFeatures(55, "random")], None
    n_trees, n_landmarks, width, label_width = (90, 600, 512, 512) if effort == "medium" else (240, 1500, 2048, 1024)
    features: list[FeatureMap | HonestFeatureMap] = [
        TreeFeatures(n_trees, "best"),
        TreeFeatures(n_trees, "random"),
        TreeFeatures(n_trees, "best", min_leaf=5),
        KernelFeatures(n_landmarks),
        RandomFeatures(width),
        LabelFeatures(RandomFeatures(label_width)),
    ]
    if effort == "high":
        return [*features, LinearFeatures(), LearnedFeatures(), SparseFeatures()], GateSettings()
    # Labels that are gates of measurements cut them anywhere: more quantiles cost much and settle few labels more.
    return features, GateSettings(n_quantiles=7)
