import pytest
import torch

from rungwise.features.affine import Affine


def problem():
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 5, 3), (2, 3, 4), (2, 1, 4), (2, 5, 4)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("needs_gradient", [True, False])
def test_gradients_are_those_of_autograd(needs_gradient):
    units, weight, bias, upstream = problem()
    units.requires_grad_(needs_gradient)
    affine, leaves = Affine(weight, bias).to_be_trained(), (weight.requires_grad_(), bias.requires_grad_())
    said, expected = affine(units), units @ weight + bias
    assert torch.allclose(said, expected)
    wanted = torch.autograd.grad((upstream * expected).sum(), [*leaves, *([units] if needs_gradient else [])])
    (upstream * said).sum().backward()
    found = [affine.weight.grad, affine.bias.grad, *([units.grad] if needs_gradient else [])]
    assert all(torch.allclose(one, other) for one, other in zip(found, wanted, strict=True))


def test_every_backward_pass_overwrites_gradients_where_they_are():
    units, weight, bias, upstream = problem()
    affine = Affine(weight, bias).to_be_trained()
    places = [tensor.grad.data_ptr() for tensor in affine]
    for scale in (1.0, 2.0):
        (scale * upstream * affine(units)).sum().backward()
    assert torch.allclose(affine.weight.grad, 2 * units.mT @ upstream)
    assert torch.allclose(affine.bias.grad, 2 * upstream.sum(1, keepdim=True))
    assert [tensor.grad.data_ptr() for tensor in affine] == places
    assert torch.equal(affine.weight, weight)
    assert affine.weight.data_ptr() != weight.data_ptr()
