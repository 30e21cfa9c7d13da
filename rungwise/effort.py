"""The presets of ``features="auto"``: which kinds of features a block blends, and how much of each."""

from rungwise.features import (
    FeatureMap,
    HonestFeatureMap,
    LabelFeatures,
    LearnedFeatures,
    LinearFeatures,
    RandomFeatures,
    SparseFeatures,
    TreeFeatures,
)
from rungwise.fitting.gate_search import GateSettings

EFFORTS = ("low", "medium", "high")


def preset(effort: str) -> tuple[list[FeatureMap | HonestFeatureMap], GateSettings | None]:
    """Return the feature maps of an effort, and what gates to look for first.

    "low" takes one to three times as long as a random forest of 300 trees, "medium" five to eleven times, "high" more.
    """
    if effort == "low":
        return [TreeFeatures(50, "best"), TreeFeatures(50, "random")], None
    n_trees = 80 if effort == "medium" else 240
    features: list[FeatureMap | HonestFeatureMap] = [
        TreeFeatures(n_trees, "best"),
        TreeFeatures(n_trees, "random"),
        TreeFeatures(n_trees, "best", min_leaf=5),
        RandomFeatures(),
        LabelFeatures(),
    ]
    if effort == "high":
        features += [LinearFeatures(), LearnedFeatures(), SparseFeatures()]
    return features, GateSettings()
