"""What the estimator's parameters mean: checked, and read into what a fit needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from rungwise._validation import check_fraction, check_whole, is_number
from rungwise.device import find_device
from rungwise.effort import EFFORTS, Preset, most_blocks, preset
from rungwise.features import FEATURE_MAPS, SparseFeatures
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.losses import LOSSES, Loss
from rungwise.fitting.readout import PENALTIES, SOLVERS
from rungwise.neighborhood import Neighborhood
from rungwise.preprocessing.scaling import SCALES


@dataclass(frozen=True)
class Settings:
    """The settings of a fit, as `rungwise.fitting.layerwise.fit_layerwise` takes them.

    Feature maps and gates depend on the table: ``preset`` maps its numbers of rows and labels to them.
    """

    preset: Callable[[int, int], Preset]
    loss: Loss
    penalties: Sequence[float]
    max_depth: int
    device: torch.device


def read_settings(estimator: Any) -> Settings:
    """Return the settings that a `RungwiseClassifier`'s parameters ask for.

    Raises
    ------
    ValueError
        If a parameter is not as described there.
    """
    _check_choice("effort", estimator.effort, EFFORTS)
    _check_choice("scale", estimator.scale, SCALES)
    _check_choice("loss", estimator.loss, LOSSES)
    _check_choice("solver", estimator.solver, SOLVERS)
    check_whole("n_folds", estimator.n_folds, 2)
    check_fraction("tolerance", estimator.tolerance)
    if estimator.neighborhood is not None and not isinstance(estimator.neighborhood, Neighborhood):
        raise ValueError(f"neighborhood must be None or a Neighborhood, however: {estimator.neighborhood!r}")
    if not isinstance(estimator.coherent, bool | np.bool_):
        raise ValueError(f"coherent must be True or False, however: coherent={estimator.coherent!r}")
    callbacks = estimator.callbacks
    if callbacks is not None and not (isinstance(callbacks, Sequence) and all(map(callable, callbacks))):
        raise ValueError(f"callbacks must be None or a list of functions, however: callbacks={callbacks!r}")
    return Settings(
        _read_features(estimator.features, estimator.effort),
        LOSSES[estimator.loss](),
        _read_penalty(estimator.penalty),
        _read_max_depth(estimator.max_depth, estimator.features, estimator.effort),
        find_device(estimator.device),
    )


def draw_seed(random_state: Any) -> int:
    """Return a seed for everything random of a fit, from scikit-learn's ``random_state``."""
    try:
        return int(check_random_state(random_state).randint(2**31))
    except ValueError:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a numpy RandomState, however: "
            f"random_state={random_state!r}"
        ) from None


def _read_features(features: Any, effort: str) -> Callable[[int, int], Preset]:
    if isinstance(features, str):
        _check_choice("features", features, {"auto", *FEATURE_MAPS})
        if features == "auto":
            return partial(preset, effort)
        features = FEATURE_MAPS[features]()
    elif not (hasattr(features, "fit") or hasattr(features, "fit_honest")) or isinstance(features, type):
        raise ValueError(f"features must be a name or an object with a method fit or fit_honest, however: {features!r}")
    gates = None
    if isinstance(features, SparseFeatures):
        gates = GateSettings(features.fan_in, features.n_thresholds, features.n_thresholds)
    return lambda n_rows, n_labels: ([features], gates)


def _read_penalty(penalty: Any) -> Sequence[float]:
    if isinstance(penalty, str) and penalty == "auto":
        return PENALTIES
    if not is_number(penalty) or not float(penalty) > 0:
        raise ValueError(f'penalty must be "auto" or a positive number, however: penalty={penalty!r}')
    return (float(penalty),)


def _read_max_depth(max_depth: Any, features: Any, effort: str) -> int:
    if max_depth is None:
        return most_blocks(features, effort)
    check_whole("max_depth", max_depth, 1)
    return int(max_depth)


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in list(choices):
        raise ValueError(f"{name} must be one of {sorted(choices)}, however: {name}={value!r}")
