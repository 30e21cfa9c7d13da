"""Save and load a fitted classifier: one safetensors file whose header holds JSON. Nothing in it is ever executed.

The file carries a format version and a SHA-256 digest over the description and every tensor, so that a truncated,
altered, newer or foreign file is told apart with a clear error.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from rungwise import __version__
from rungwise.device import find_device
from rungwise.estimator import RungwiseClassifier
from rungwise.features import FEATURE_MAPS, LAYERS
from rungwise.features.joined import build_layers, describe_layers
from rungwise.fitting.label_sets import LabelSets
from rungwise.formula import Formula
from rungwise.hierarchy import Hierarchy
from rungwise.neighborhood import Neighborhood
from rungwise.network import Block, ResidualNetwork
from rungwise.preprocessing.scaling import Standardizer
from rungwise.preprocessing.tables import TableEncoder
from rungwise.preprocessing.targets import LabelCoding
from rungwise.preprocessing.wide import WideReducer

FORMAT = "rungwise model"
FORMAT_VERSION = 1


class ModelFileError(ValueError):
    """A file is not a model that this version of rungwise can read."""


def save(clf: RungwiseClassifier, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write a fitted classifier to one file.

    The file is written beside its place, synced to disk and then renamed, so that a crash leaves either the old file
    or the new one, whole.

    Parameters
    ----------
    clf : RungwiseClassifier
        Fitted.
    path : path
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If the path is a folder, a pipe or a device.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    ValueError
        If its feature map is of a kind that `rungwise.features` does not list.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(f"a model must be saved to a regular file, however: {path} is a folder, a pipe or a device")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; give overwrite=True to replace it")
    tensors, description = _to_parts(clf)
    text = json.dumps(description)
    header = {"format": FORMAT, "description": text, "digest": _digest(text, tensors)}
    content = safetensors.torch.save(tensors, header)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a private file; a model is as readable as any file the user writes.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str], device: str = "cpu") -> RungwiseClassifier:
    """Read a classifier written by `save`, on whatever device it was trained.

    Parameters
    ----------
    path : path
    device : str
        Where the network is put: "cpu", "auto" or a PyTorch device.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it is a folder or cannot be read.
    ModelFileError
        If the file is truncated, altered, not a rungwise model, or of a later format version.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no model file {str(path)!r}; check the path")
    if Path(path).is_dir():
        raise IsADirectoryError(f"a model is a file, however: {str(path)!r} is a folder; name a file in it")
    content = Path(path).read_bytes()
    header = _read_header(content, path)
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is damaged or truncated ({error}); copy or save it again") from None
    text = header["description"]
    if header.get("digest") != _digest(text, tensors):
        raise ModelFileError(f"{path} was altered after it was saved: its digest does not fit; save it again")
    description = json.loads(text)
    if description["version"] > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {description['version']}, written by rungwise {description['rungwise']}; this "
            f"is rungwise {__version__}, which reads up to version {FORMAT_VERSION}: upgrade rungwise to read it"
        )
    return _from_parts(tensors, description, find_device(device))


def _read_header(content: bytes, path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the header of a safetensors file, which begins with its length in eight bytes."""
    try:
        length = int.from_bytes(content[:8], "little")
        if len(content) < 8 + length:
            raise ModelFileError(f"{path} is truncated or not a rungwise model; save the model again")
        header = json.loads(content[8 : 8 + length])["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} is not a rungwise model; such files are written by rungwise.save") from None
    if not isinstance(header, Mapping) or header.get("format") != FORMAT or "description" not in header:
        raise ModelFileError(f"{path} is not a rungwise model; such files are written by rungwise.save")
    return dict(header)


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _to_parts(clf: RungwiseClassifier) -> tuple[dict[str, Tensor], dict[str, Any]]:
    names = clf.label_names_
    network = clf.network_
    layers: list[Any] = [block.features for block in network.blocks]
    for layer in layers:
        if getattr(layer, "kind", None) not in LAYERS:
            raise ValueError(f"{type(layer).__name__} cannot be saved; list its kind in rungwise.features.LAYERS")
    tensors = {f"network.{key}": value.cpu().contiguous() for key, value in network.state_dict().items()}
    arrays = {
        **{f"standardizer.{key}": value for key, value in clf.standardizer_.to_tensors().items()},
        "calibration": clf.calibration_,
        "implications": clf._implications,
        "label_sets": clf._label_sets.sets,
        "label_set_surplus": clf._label_sets.surplus,
        "level": clf.hierarchy_.level,
        "importance": clf.hierarchy_.importance,
        "honest_error": clf.hierarchy_.honest_error,
        "frequency_error": clf.hierarchy_.frequency_error,
    }
    if clf.reducer_ is not None:
        arrays |= {f"reducer.{key}": value for key, value in clf.reducer_.to_tensors().items()}
    tensors |= {key: torch.from_numpy(np.array(value, order="C")) for key, value in arrays.items()}
    coding = clf._coding
    description = {
        "version": FORMAT_VERSION,
        "rungwise": __version__,
        "parameters": _parameters(clf),
        "network": {
            "n_inputs": network.n_inputs,
            "n_labels": network.n_labels,
            "link": network.link,
            "dtype": str(next(network.parameters(), torch.zeros(())).dtype),
            "layers": describe_layers(layers),
        },
        "n_features": clf.n_features_in_,
        "feature_names": list(clf.feature_names_in_) if hasattr(clf, "feature_names_in_") else None,
        "encoder": None if clf.encoder_ is None else clf.encoder_.to_dict(),
        "coding": {"kind": coding.kind, "names": names, "classes": coding.classes.tolist()},
        "hierarchy_features": list(clf.hierarchy_.feature_names),
        "formulas": {str(label): formula.to_dict() for label, formula in clf.hierarchy_.formulas.items()},
        "history": clf.history_.to_dict(orient="list"),
    }
    return tensors, description


def _parameters(clf: RungwiseClassifier) -> dict[str, Any]:
    """Return the constructor's arguments as JSON; callbacks and random states that JSON cannot hold are left out."""
    parameters = clf.get_params(deep=False)
    features = parameters["features"]
    for kind, feature_map in FEATURE_MAPS.items():
        if isinstance(features, feature_map) and is_dataclass(features):
            parameters["features"] = {"kind": kind, **asdict(features)}
    if parameters["neighborhood"] is not None:
        parameters["neighborhood"] = asdict(parameters["neighborhood"])
    parameters["callbacks"] = None
    plain = {key: _plain(value) for key, value in parameters.items()}
    return {key: value for key, value in plain.items() if value is None or isinstance(value, str | int | float | dict)}


def _plain(value: Any) -> Any:
    """Return a value, or the values of a dict, with Python's numbers for NumPy's, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _from_parts(tensors: dict[str, Tensor], description: dict[str, Any], device: torch.device) -> RungwiseClassifier:
    parameters = dict(description["parameters"])
    features = parameters.get("features")
    if isinstance(features, dict):
        features = dict(features)
        parameters["features"] = FEATURE_MAPS[features.pop("kind")](**features)
    if parameters.get("neighborhood") is not None:
        parameters["neighborhood"] = Neighborhood.from_dict(parameters["neighborhood"])
    clf = RungwiseClassifier(**parameters)

    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    shape = description["network"]
    state = part("network.")
    blocks = [
        Block(
            layer,
            *(torch.zeros_like(state[f"blocks.{k}.{name}"]) for name in ("weight", "bias", "labels", "keep", "settle")),
        )
        for k, layer in enumerate(build_layers(shape["layers"]))
    ]
    network = ResidualNetwork(shape["n_inputs"], shape["n_labels"], blocks, shape["link"], clf.neighborhood)
    network.to(getattr(torch, shape["dtype"].removeprefix("torch."))).load_state_dict(state)
    clf.network_ = network.to(device)
    clf.n_blocks_ = len(blocks)
    clf.standardizer_ = Standardizer.from_tensors({k: v.numpy() for k, v in part("standardizer.").items()})
    reducer = {k: v.numpy() for k, v in part("reducer.").items()}
    clf.reducer_ = WideReducer.from_tensors(reducer) if reducer else None
    clf.calibration_ = tensors["calibration"].numpy().copy()
    # Models of before bends were chosen have 1 for 0.98; their log-odds grow less beyond estimates of 1 than they did.
    clf.calibration_[2, clf.calibration_[2] == 1] = 0.98
    # Models of before there were label sets or implications know none; then all sets had one surplus.
    clf._label_sets = LabelSets.none(network.n_labels)
    if "label_sets" in tensors:
        surplus = tensors["label_set_surplus" if "label_set_surplus" in tensors else "label_set_penalty"]
        sets = tensors["label_sets"].numpy()
        clf._label_sets = LabelSets(sets, np.broadcast_to(surplus.numpy(), len(sets)))
    clf._implications = tensors.get("implications", torch.empty(0, 2, dtype=torch.int64)).numpy()
    clf.n_features_in_ = description["n_features"]
    if description["feature_names"] is not None:
        clf.feature_names_in_ = np.asarray(description["feature_names"], dtype=object)
    encoder = description["encoder"]
    clf.encoder_ = None if encoder is None else TableEncoder.from_dict(encoder)
    coding = description["coding"]
    clf._coding = LabelCoding(coding["kind"], tuple(coding["names"]), np.array(coding["classes"]))
    clf.hierarchy_ = Hierarchy(
        feature_names=tuple(description["hierarchy_features"]),
        label_names=clf._coding.names,
        level=tensors["level"].numpy(),
        importance=tensors["importance"].numpy(),
        honest_error=tensors["honest_error"].numpy(),
        # Nor was it kept from the first.
        frequency_error=tensors.get("frequency_error", torch.full_like(tensors["honest_error"], torch.nan)).numpy(),
        formulas={int(label): Formula.from_dict(state) for label, state in description["formulas"].items()},
    )
    clf.history_ = pd.DataFrame(description["history"])
    return clf
