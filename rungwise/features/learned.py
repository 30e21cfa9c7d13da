"""Learned features: two-layer networks of the stream, W1 trained together with W2.

Gradient descent on one block at a time, as in the paper, but through both of its layers. For every fold a network is
trained without the fold's rows, and speaks honestly about them. The fitted layer is the mean of these networks. What
they need in between, and nobody annotated, is in their hidden units, which are carried to blocks above.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from rungwise._validation import check_fraction, check_whole
from rungwise.features.fold_networks import LEAST_RUNG, Examples, FoldNetworks, Standardised
from rungwise.features.learned_layer import LearnedLayer
from rungwise.features.opinions import Distinct, Opinions, Standing, believed, express


@dataclass(frozen=True)
class LearnedFeatures:
    """The feature map that trains two-layer networks for every block.

    AdamW on the logistic loss, with dropout. When the honest rows gain no more, steps become shorter, and at last
    training stops.

    Networks first look for a new rung: labels that become nearly certain from x and the labels that became so last, or
    else from x and all that are so. The more a network reads, the more examples it needs; and one that also read
    estimates in doubt would learn to copy them: what is left to explain are their few errors, too few to learn the
    label's logic from, and these errors would stay for all blocks above. A new rung is trained apart from labels that
    are half learned so, while others wait, as they may follow from it. If there is none, all labels in doubt are
    trained, and at last all labels.

    Labels that belong to no new rung may lack one that nobody annotated, of which the hidden units of the networks
    below know something. Their networks read these units as well, each its own, and grow into deep networks, a layer
    in every block; where there are no such units yet, they read the estimates in doubt. Then, beside a new rung, labels
    that earlier blocks half learned are trained, too.

    A fit holds the hidden units of all training rows: n · n_folds · width numbers, or twice as many beside a new rung.

    Parameters
    ----------
    width : int, at least 1
        Hidden units of a network; in a block with a new rung, of one for the rung and of one for half-learned labels.
    dropout : float in [0, 1)
        Of the hidden units.
    """

    name: ClassVar[str] = "learned"
    width: int = 256
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_fraction("dropout", self.dropout)

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
        carried = None if standing.carried is None else Standardised.of(standing.carried[first].float())
        examples = Examples(stream[first].float(), carried, positives.float(), total.float(), grouping.fold[first])
        before = (1 + believed(objective)[first]) / 2
        loss_before = (total @ (before - positives).square() / total.sum()).float()
        # Filled gaps agree with the estimates so far: these cannot be judged by rows that are annotated in part.
        complete = bool((objective.weights == objective.weights[:, :1]).all())
        in_doubt = bool(loss_before[standing.doubted].sum() > LEAST_RUNG * loss_before.sum())
        # Labels that no block has learned yet say nothing.
        spread = stream.std(0)
        speaking = spread > 0
        for clear in standing.readings if complete and in_doubt and standing.risen else []:
            networks = FoldNetworks(examples, speaking & clear, self.width, self.dropout, generator)
            if groups := networks.climb(loss_before, standing.doubted):
                break
        else:
            reading = speaking if carried is None else speaking & standing.readings[-1]
            networks = FoldNetworks(examples, reading, self.width, self.dropout, generator)
            groups = networks.train(standing.doubted if in_doubt else torch.ones_like(standing.doubted))
        parameters, honest = networks.merge(groups)
        layer = LearnedLayer([parameter.to(stream) for parameter in parameters], objective.loss.link)

        def importance(labels: Tensor) -> Tensor:
            # How far each entry moves a label along all paths, squared.
            paths = layer.reach(standing.reach) @ layer.weight2[:, :, labels].square()
            return spread.square()[:, None] * paths.mean(0)

        return Opinions(layer, express(honest[distinct.place].to(stream), layer.link), importance)
