import numpy as np
import torch

from rungwise import RungwiseClassifier
from rungwise.features import BlendedOpinions, JoinedLayer
from rungwise.network import Block


def test_a_block_adds_opinions_as_an_identity_readout_would():
    torch.manual_seed(0)
    stream = torch.randn(20, 4)
    opinions = [torch.nn.Linear(4, 6), torch.nn.Linear(4, 6)]
    share, columns = torch.rand(2, 3), torch.tensor([0, 2, 5])
    blended = BlendedOpinions(opinions, share, columns)
    expected = sum(own * layer(stream)[:, columns] for own, layer in zip(share, opinions, strict=True))
    torch.testing.assert_close(blended(stream), expected)

    dense, weight, bias = torch.nn.Linear(4, 7), torch.randn(7, 3), torch.randn(3)
    direct = Block(JoinedLayer([blended, dense]), weight, bias)
    identity = Block(JoinedLayer([blended, dense]), torch.cat([torch.eye(3), weight]), bias)
    torch.testing.assert_close(direct(stream), identity(stream))
    alone = Block(blended, torch.zeros(0, 3), bias)
    torch.testing.assert_close(alone(stream), expected + bias)


def test_the_readout_of_forests_does_not_grow_with_labels_squared():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    Y = X @ rng.standard_normal((3, 40)) > 0
    clf = RungwiseClassifier(features="trees", random_state=0, max_depth=1).fit(X, Y)
    (block,) = clf.network_.blocks
    assert block.weight.shape == (0, len(block.labels))
    assert isinstance(block.features, BlendedOpinions)
