"""Learned features: residual networks of the stream, all of their layers trained together.

Gradient descent on one block at a time, as in the paper, but through all layers of it, of which there may be more than
two: what labels need in between, and nobody annotated, has to be found inside of a block. For every fold a network is
trained without the fold's rows, and speaks honestly about them. The fitted layer is the mean of these networks.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rungwise._validation import check_fraction, check_whole
from rungwise.features.fold_networks import LEAST_RUNG, Examples, FoldNetworks, share_out
from rungwise.features.opinions import Distinct, Opinions, Standing, believed, express

# Slopes of so many rows tell which entries matter.
_ROWS_OF_SLOPES = 50


@dataclass(frozen=True)
class LearnedFeatures:
    """The feature map that trains residual networks for every block.

    Adam on the logistic loss, from small weights, with dropout. Weights whose gradients are mostly noise shrink to 0,
    and the mean of an epoch's weights is what is judged and kept. When the honest rows gain no more, or most epochs are
    over, steps become shorter, and at last training stops.
    On processors with matrix units for bfloat16, factors of the products of wide networks are rounded while they train;
    ``torch.backends.mkldnn.matmul.fp32_precision = "ieee"`` forbids it.

    Only labels in doubt are trained; once hardly anything is left of them, all are, and all is read. Deep networks
    first look for a new rung: labels that become nearly certain from x and the labels that became so last, or else from
    x and all that are so. The more a network reads, the more examples it needs; and one that also read estimates in
    doubt would learn to copy them: what is left to explain are their few errors, too few to learn the label's logic
    from, and these errors would stay for all blocks above. Networks that find a rung speak for all labels in doubt. If
    none do, deep networks that read all entries are trained, too, and shallow ones, of one layer, which need fewer
    examples: of each label those are kept that know it best. Where labels are annotated in part, or the last block made
    none nearly certain, so that the same search would find nothing again, all is read from the start.

    When to stop, and which networks of a label are kept, is told by the honest error of all rows. The deeper networks
    are, the more levels a block learns at once, and the fewer `hierarchy_` shows.

    Parameters
    ----------
    width : int, at least 1
        Hidden units of a layer.
    dropout : float in [0, 1)
        Of the hidden units; of what a network reads, a fifth of that.
    n_layers : int, at least 1
        Hidden layers of a deep network. A function of functions that are no labels needs several.
    """

    name: ClassVar[str] = "learned"
    width: int = 256
    dropout: float = 0.5
    n_layers: int = 4

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_fraction("dropout", self.dropout)
        check_whole("n_layers", self.n_layers, 1)

    def fit_honest(
        self,
        stream: Tensor,
        generator: torch.Generator,
        objective: Any,
        grouping: Any,
        standing: Standing,
    ) -> Opinions | None:
        """Train networks that have not seen each other's rows; see `rungwise.features.HonestFeatureMap`.

        None if there are more entries than rows: such a network would learn the rows by heart.
        """
        if stream.shape[1] > len(stream):
            return None
        distinct = Distinct.of(objective, grouping)
        first, total, positives = distinct.first, distinct.weights, distinct.positives
        examples = Examples(stream[first].float(), positives.float(), total.float(), grouping.fold[first])
        before = (1 + believed(objective)[first]) / 2
        loss_before = (total @ (before - positives).square() / total.sum()).float()
        # Filled gaps agree with the estimates so far: these cannot be judged by rows that are annotated in part.
        complete = bool((objective.weights == objective.weights[:, :1]).all())
        in_doubt = bool(loss_before[standing.doubted].sum() > LEAST_RUNG * loss_before.sum())
        # Labels that no block has learned yet say nothing.
        spread = stream.std(0)
        speaking = spread > 0
        asked = standing.doubted if in_doubt else torch.ones_like(standing.doubted)
        clear = standing.readings if complete and in_doubt and standing.risen else []
        trained = []
        for reading in clear:
            networks = self._networks(examples, speaking & reading, self.n_layers, generator)
            trained.append(networks.train(asked))
            if networks.is_rung(trained[-1], loss_before):
                trained = trained[-1:]
                break
        else:
            networks = self._networks(examples, speaking, self.n_layers, generator)
            if not clear or (speaking & ~clear[-1]).any():
                trained.append(networks.train(asked))
            if self.n_layers > 1:
                trained.append(self._networks(examples, speaking, 1, generator).train(asked))
        layer, of_nets = networks.merge(share_out(trained, len(asked)), objective.loss.link)
        layer.to(stream)

        def honest_at(entries: Tensor, rows: Tensor) -> Tensor:
            return express(of_nets(entries.float(), grouping.fold[rows]).to(stream), layer.link)

        some = stream[torch.linspace(0, len(stream) - 1, min(len(stream), _ROWS_OF_SLOPES)).round().long()]

        def importance(labels: Tensor) -> Tensor:
            return spread.square()[:, None] * layer.squared_slopes(some, labels)

        honest = honest_at(stream[first], first)[distinct.place]
        return Opinions(layer, honest, honest_at, importance)

    def _networks(self, examples: Examples, reading: Tensor, n_layers: int, generator: torch.Generator) -> FoldNetworks:
        return FoldNetworks(examples, reading, self.width, n_layers, self.dropout, generator)
