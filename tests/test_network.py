import copy
import pickle

import pytest
import torch

from rungwise.features import RandomFeatures
from rungwise.neighborhood import Neighborhood
from rungwise.network import Block, ResidualNetwork, Stream


def random_network(link="clip", n_inputs=3, n_labels=2, n_blocks=3, width=5):
    generator = torch.Generator().manual_seed(0)
    stream = torch.zeros(1, n_inputs + n_labels, dtype=torch.float64)
    blocks = [
        Block(
            RandomFeatures(width, "tanh").fit(stream, generator),
            2 * torch.randn(width, n_labels, generator=generator, dtype=torch.float64),
            torch.randn(n_labels, generator=generator, dtype=torch.float64),
        )
        for _ in range(n_blocks)
    ]
    return ResidualNetwork(n_inputs, n_labels, blocks, link)


def inputs(n=20):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("link", ["clip", "tanh"])
def test_forward_is_the_formula(link):
    network, x = random_network(link), inputs()
    read = {"clip": lambda f: f.clamp(-1, 1), "tanh": lambda f: torch.tanh(f / 2)}[link]
    estimates = torch.zeros(20, 2, dtype=torch.float64)
    expected = [estimates]
    for block in network.blocks:
        z = torch.cat([x, read(estimates)], dim=1)
        hidden = torch.tanh(z @ block.features.weight + block.features.bias) / 5**0.5
        estimates = estimates + hidden @ block.weight + block.bias
        expected.append(estimates)
    torch.testing.assert_close(network(x), expected[-1])
    torch.testing.assert_close(network(x, return_all=True), torch.stack(expected))
    assert network(x).abs().max() > 1  # or clipping would not be seen


def test_return_all_begins_with_zeros_and_ends_with_the_estimates():
    network, x = random_network(), inputs()
    history = network(x, return_all=True)
    assert history.shape == (4, 20, 2)
    assert (history[0] == 0).all()
    assert torch.equal(history[-1], network(x))


def test_network_without_blocks_estimates_zero():
    network = ResidualNetwork(3, 2)
    assert torch.equal(network(inputs()), torch.zeros(20, 2, dtype=torch.float64))
    assert network(inputs(), return_all=True).shape == (1, 20, 2)


def test_label_without_update_keeps_its_estimate():
    network, x = random_network(), inputs()
    network.blocks[1].weight[:, 0] = 0
    network.blocks[1].bias[0] = 0
    history = network(x, return_all=True)
    assert torch.equal(history[2][:, 0], history[1][:, 0])
    assert not torch.equal(history[2][:, 1], history[1][:, 1])


@pytest.mark.parametrize("link", ["clip", "tanh"])
def test_stream_holds_the_inputs_and_estimates_between_minus_one_and_one(link):
    network, x = random_network(link), inputs()
    stream = network.start(x)
    assert torch.equal(stream.entries, torch.cat([x, torch.zeros(20, 2, dtype=torch.float64)], dim=1))
    nobody = torch.zeros(2, dtype=torch.bool)
    stream.update(torch.arange(2), 10 * torch.ones(20, 2, dtype=torch.float64), nobody)
    assert torch.equal(stream.entries[:, :3], x)
    assert (stream.entries[:, 3:] > 0.99).all()
    assert (stream.entries[:, 3:] <= 1).all()


@pytest.mark.parametrize("link", ["clip", "tanh"])
def test_settled_label_is_read_as_its_sign(link):
    network, x = random_network(link), inputs()
    stream = network.start(x)
    values = torch.linspace(-0.3, 0.3, 20, dtype=torch.float64)[:, None]
    stream.update(torch.tensor([1]), values, torch.tensor([True]))
    assert torch.equal(stream.entries[:, 4:], values.sign())
    assert torch.equal(stream.estimates[:, 1:], values)
    assert (stream.entries[:, 3] == 0).all()


def test_block_changes_only_its_labels_and_replaces_where_it_does_not_keep():
    network, x = random_network(n_labels=3), inputs()
    before = network(x, return_all=True)[1]
    full = network.blocks[1]
    labels = torch.tensor([0, 2])
    network.blocks[1] = Block(
        full.features, full.weight[:, labels], full.bias[labels], labels, torch.tensor([True, False])
    )
    after = network(x, return_all=True)[2]
    stream = network.start(x)
    stream.apply(network.blocks[0])
    update = full(stream.entries)
    torch.testing.assert_close(after[:, 0], before[:, 0] + update[:, 0])
    assert torch.equal(after[:, 1], before[:, 1])
    torch.testing.assert_close(after[:, 2], update[:, 2])


def test_positions_see_their_neighbours():
    generator = torch.Generator().manual_seed(0)
    neighborhood = Neighborhood.ring(offsets=(-1, 1))
    x = torch.randn(4, 5, 2, generator=generator, dtype=torch.float64)
    # The first block copies its left neighbour's first input to the label; the second adds its right neighbour's label.
    first, second = torch.zeros(2 * 3, 1, dtype=torch.float64), torch.zeros(2 * 3, 1, dtype=torch.float64)
    first[0], second[5] = 1, 1
    bias = torch.zeros(1, dtype=torch.float64)
    blocks = [Block(torch.nn.Identity(), weight, bias) for weight in (first, second)]
    network = ResidualNetwork(2, 1, blocks, neighborhood=neighborhood)
    copied = x[:, :, 0].roll(1, dims=1)
    expected = copied + copied.clamp(-1, 1).roll(-1, dims=1)
    torch.testing.assert_close(network(x)[:, :, 0], expected)
    torch.testing.assert_close(network(x.roll(2, dims=1)), network(x).roll(2, dims=1))
    assert network(torch.cat([x, x], dim=1)).shape == (4, 10, 1)


def test_estimates_do_not_depend_on_the_batch():
    network, x = random_network(), inputs(33)
    row_by_row = torch.cat([network(row[None]) for row in x])
    torch.testing.assert_close(row_by_row, network(x), rtol=0, atol=1e-12)
    torch.testing.assert_close(network(x.flip(0)).flip(0), network(x), rtol=0, atol=1e-12)
    assert network(x[:0]).shape == (0, 2)


def test_state_dict_round_trip():
    network, other, x = random_network(), random_network(), inputs()
    for tensor in other.state_dict().values():
        tensor.zero_()
    assert (other(x) == 0).all()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))
    assert set(network.state_dict()) == {
        f"blocks.{k}.{name}"
        for k in range(3)
        for name in ("weight", "bias", "labels", "keep", "settle", "features.weight", "features.bias")
    }


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_are_equal_and_independent(copied):
    network, x = random_network("tanh"), inputs()
    expected = network(x)
    copy_of_it = copied(network)
    assert torch.equal(copy_of_it(x), expected)
    copy_of_it.blocks[0].weight.zero_()
    assert torch.equal(network(x), expected)
    assert not torch.equal(copy_of_it(x), expected)


def test_precision_follows_the_module():
    network, x = random_network(), inputs()
    expected = network(x)
    single = copy.deepcopy(network).to(torch.float32)
    assert single(x.float()).dtype == torch.float32
    torch.testing.assert_close(single(x.float()).double(), expected, rtol=1e-4, atol=1e-4)
    assert single.to(torch.float64)(x).dtype == torch.float64


def test_no_parameter_requires_grad():
    block = Block(torch.nn.Linear(5, 4), torch.ones(4, 2), torch.zeros(2))
    network = ResidualNetwork(3, 2, [block])
    assert len(list(network.parameters())) == 4
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network(torch.ones(1, 3)).requires_grad


def test_gradient_with_respect_to_inputs_is_available():
    x = inputs().requires_grad_(True)
    random_network("tanh")(x).sum().backward()
    assert x.grad.abs().max() > 0


def test_unknown_link_is_refused():
    with pytest.raises(ValueError, match=r"link must be one of \['clip', 'tanh'\], however: link='sign'"):
        ResidualNetwork(3, 2, link="sign")


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1)])
def test_input_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\), however: \("):
        random_network()(torch.zeros(shape))


@pytest.mark.parametrize(
    "neighborhood",
    [
        Neighborhood.ring((1, -2)),
        Neighborhood.line((-1, 0, 1)),
        Neighborhood.grid(3),
        Neighborhood.from_index([[1]] * 6),
    ],
)
def test_stream_holds_what_is_seen_from_each_position(neighborhood):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 6, 2, generator=generator, dtype=torch.float64)
    index = neighborhood.index(6)
    stream = Stream(x, 3, "clip", index)
    estimates = 2 * torch.randn(24, 2, generator=generator, dtype=torch.float64)
    stream.update(torch.tensor([0, 2]), estimates, torch.tensor([False, True]))
    read = torch.zeros(4, 6, 3, dtype=torch.float64)
    read[:, :, 0] = estimates[:, 0].clamp(-1, 1).view(4, 6)
    read[:, :, 2] = estimates[:, 1].sign().view(4, 6)
    full = torch.cat([x, read], dim=2)
    nothing = torch.zeros(5, dtype=torch.float64)
    for family in range(4):
        for position in range(6):
            seen = [full[family, other] if other >= 0 else nothing for other in index[position].tolist()]
            assert torch.equal(stream.entries[6 * family + position], torch.cat(seen))
    reads_two = stream.entries[:, stream.entries_of(torch.tensor([2]))]
    assert torch.equal(reads_two, stream.spread(read[..., 2:].reshape(24, 1)).flatten(1))
    assert torch.equal(stream.estimates[:, [0, 2]], estimates)


def test_stream_without_positions_is_the_rows():
    x = inputs()
    stream = Stream(x, 2, "tanh")
    assert torch.equal(stream.spread(x), x[:, None])
    stream.update(torch.tensor([1]), x[:, :1], torch.tensor([False]))
    assert torch.equal(stream.entries[:, 4], torch.tanh(x[:, 0] / 2))
    assert torch.equal(stream.entries[:, :3], x)
