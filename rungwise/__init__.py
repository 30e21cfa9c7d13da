"""rungwise: learn hard labels from easy ones, one residual block at a time."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rungwise import datasets, model_selection, teacher, theory
    from rungwise.estimator import RungwiseClassifier
    from rungwise.features import RandomFeatures, SparseFeatures
    from rungwise.formula import Formula
    from rungwise.hierarchy import Hierarchy
    from rungwise.neighborhood import Neighborhood
    from rungwise.network import Block, ResidualNetwork
    from rungwise.persistence import load, save
    from rungwise.valuation import LabelValue, label_value

# Loaded when first used: the command's help does not wait for PyTorch.
_HOMES = {
    "Block": "network",
    "Formula": "formula",
    "Hierarchy": "hierarchy",
    "LabelValue": "valuation",
    "Neighborhood": "neighborhood",
    "RandomFeatures": "features",
    "ResidualNetwork": "network",
    "RungwiseClassifier": "estimator",
    "SparseFeatures": "features",
    "label_value": "valuation",
    "load": "persistence",
    "save": "persistence",
}
_MODULES = ("datasets", "model_selection", "teacher", "theory")

__all__ = [
    "Block",
    "Formula",
    "Hierarchy",
    "LabelValue",
    "Neighborhood",
    "RandomFeatures",
    "ResidualNetwork",
    "RungwiseClassifier",
    "SparseFeatures",
    "datasets",
    "label_value",
    "load",
    "model_selection",
    "save",
    "teacher",
    "theory",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"rungwise.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rungwise' has no attribute {name!r}")
    return getattr(import_module(f"rungwise.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
