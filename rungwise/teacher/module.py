"""Trained networks as teachers: a unit is a neuron that is true where its activation exceeds its median."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rungwise.teacher.base import Teacher

# Rows that go through the module at once: enough to keep it busy, few enough for the activations to fit.
BATCH_ROWS = 1024


class ModuleTeacher(Teacher):
    """A teacher that computes with a PyTorch module, in evaluation mode and without gradients.

    Parameters
    ----------
    module : torch.nn.Module
        Takes one tensor of shape (n_samples, ...). For ``outputs`` it returns one of shape (n_samples,) or
        (n_samples, n_outputs).
    layers : sequence of str
        Submodules whose activations are neurons, by their names in ``module.named_modules()``, lowest first. Each must
        run once in a forward pass and return one tensor of shape (n_samples, ...), of which all entries are neurons.
    X : array or Tensor of shape (n_samples, ...), at least one row
        Inputs on which the medians are fixed, once and for all: training rows of the module, say.

    Attributes
    ----------
    module : torch.nn.Module
    layers : tuple of str
    medians : list of float array of shape (n_neurons,)
        The threshold of each neuron, layer by layer.

    Raises
    ------
    ValueError
        If a layer is listed twice, not in the module, or not of the kind described, or X has no row.

    Notes
    -----
    A neuron whose activation is at its minimum on half of the rows or more, such as a ReLU that is mostly 0, is true
    where it is above that minimum, and so on fewer than half of the rows.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> X = np.random.default_rng(0).standard_normal((200, 5))
    >>> teacher = ModuleTeacher(module, ["1", "3"], X)
    >>> [layer.shape for layer in teacher.neurons(X)], teacher.outputs(X).shape
    ([(200, 8), (200, 8)], (200, 3))
    >>> sorted(set(abs(teacher.neurons(X)[0].mean(axis=0)).tolist()))  # true on half of the rows
    [0.0]
    >>> teacher.hints(X, n_hints=10, random_state=0).Y.shape
    (200, 20)
    """

    def __init__(self, module: nn.Module, layers: Sequence[str], X: Any) -> None:
        self.module = module
        self.layers = tuple(layers)
        known = [name for name, _ in module.named_modules() if name]
        wrong = [name for name in self.layers if name not in known or self.layers.count(name) > 1]
        if wrong or not self.layers or isinstance(layers, str):
            raise ValueError(
                f"layers must be a sequence of names of submodules, at least one and none twice, among {known}, "
                f"however: layers={layers!r}"
            )
        self.medians = [np.median(layer, axis=0) for layer in self.activations(X)]

    def neurons(self, X: Any) -> list[np.ndarray]:
        """Return the values of each layer's neurons, lowest layer first: int8 ±1 of shape (n_samples, n_neurons).

        Parameters
        ----------
        X : array or Tensor of shape (n_samples, ...), at least one row

        Raises
        ------
        ValueError
            If X has no row, or activations of another shape than the rows of the medians.
        """
        activations = self.activations(X)
        for name, layer, median in zip(self.layers, activations, self.medians, strict=True):
            if layer.shape[1] != len(median):
                raise ValueError(
                    f"layer {name!r} must have {len(median)} activations for each row, as on the rows that fixed the "
                    f"medians, however: it has {layer.shape[1]}"
                )
        return [
            np.where(layer > median, 1, -1).astype(np.int8)
            for layer, median in zip(activations, self.medians, strict=True)
        ]

    def outputs(self, X: Any) -> np.ndarray:
        """Return what the module decides: int8 ±1 of shape (n_samples, n_outputs).

        A single output is true where it is positive, as log-odds are where the answer is yes. Of several, the scores
        of classes, the largest is true.

        Parameters
        ----------
        X : array or Tensor of shape (n_samples, ...), at least one row

        Raises
        ------
        ValueError
            If X has no row, or the module returns another shape.
        """
        scores = self.scores(X)
        chosen = scores > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
        return np.where(chosen, 1, -1).astype(np.int8)

    def scores(self, X: Any) -> np.ndarray:
        """Return what the module returns: float32 of shape (n_samples, n_outputs).

        Parameters
        ----------
        X : array or Tensor of shape (n_samples, ...), at least one row

        Raises
        ------
        ValueError
            If X has no row, or the module returns another shape.
        """
        returned = [output for _, output in self._run(X, layers=())]
        first = returned[0]
        if not isinstance(first, Tensor) or first.ndim not in (1, 2):
            found = f"of shape {tuple(first.shape)}" if isinstance(first, Tensor) else type(first).__name__
            raise ValueError(
                "the module must return one tensor of scores, of shape (n_samples,) or (n_samples, n_outputs), "
                f"however: {found}"
            )
        scores = torch.cat(returned).float().cpu().numpy()
        return scores.reshape(len(scores), -1)

    def activations(self, X: Any) -> list[np.ndarray]:
        """Return the activations of each layer, lowest layer first: float32 of shape (n_samples, n_neurons).

        Parameters
        ----------
        X : array or Tensor of shape (n_samples, ...), at least one row

        Raises
        ------
        ValueError
            If X has no row, or a layer is not of the kind described.
        """
        batches = [recorded for recorded, _ in self._run(X, self.layers)]
        return [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]

    def _run(self, X: Any, layers: Sequence[str]) -> list[tuple[list[Tensor], Any]]:
        """Return, batch by batch, the activations of the layers and what the module returns."""
        like = next(self.module.parameters(), torch.zeros(()))
        # An array is copied: PyTorch warns of one that it could not write to.
        inputs = X if isinstance(X, Tensor) else torch.tensor(np.asarray(X))
        if inputs.ndim == 0 or len(inputs) == 0:
            raise ValueError(f"X must have at least one row, however: its shape is {tuple(inputs.shape)}")
        # Whole numbers stay whole: they may be indices into an embedding.
        inputs = inputs.to(like.device, like.dtype if inputs.is_floating_point() else inputs.dtype)
        batches = []
        with torch.no_grad(), _evaluation_mode(self.module):
            for rows in inputs.split(BATCH_ROWS):
                with _recording(self.module, layers) as recorded:
                    returned = self.module(rows)
                batches.append(([_only_run(name, recorded[name], len(rows)) for name in layers], returned))
        return batches


@contextmanager
def _evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Switch dropout and the like off for a while; each submodule then gets its own mode back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _recording(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Record what the layers return, in a list with an entry for each time that one runs."""
    recorded: dict[str, list[Any]] = {name: [] for name in layers}

    def hook_for(name: str) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Any) -> None:
            # A copy: the layer after it may work in place.
            recorded[name].append(output.detach().clone() if isinstance(output, Tensor) else output)

        return hook

    with ExitStack() as hooks:
        for name in layers:
            handle = module.get_submodule(name).register_forward_hook(hook_for(name))
            hooks.callback(handle.remove)
        yield recorded


def _only_run(name: str, outputs: list[Any], n_rows: int) -> Tensor:
    if len(outputs) != 1:
        raise ValueError(
            f"layer {name!r} must run once in a forward pass, however: it ran {len(outputs)} times; choose another"
        )
    (output,) = outputs
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != n_rows:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"layer {name!r} must return one tensor of shape (n_samples, ...), here with {n_rows} rows, however: "
            f"{found}; choose another"
        )
    return output.flatten(1).float().cpu()
