import pytest
import torch

from rungwise.features import rounding
from rungwise.features.rounding import rounded_factors


@pytest.fixture
def matmul():
    """Return the settings of matrix products, which become again what they are now."""
    settings = torch.backends.mkldnn.matmul
    before = settings.fp32_precision
    yield settings
    settings.fp32_precision = before


@pytest.mark.parametrize(
    ("gains", "chosen", "expected"), [(True, "none", "bf16"), (True, "ieee", "ieee"), (False, "none", "none")]
)
def test_factors_are_rounded_if_that_gains_and_the_user_has_not_decided(gains, chosen, expected, matmul, monkeypatch):
    matmul.fp32_precision = chosen
    monkeypatch.setattr(rounding, "_gains_by_rounding", lambda: gains)
    with rounded_factors():
        assert matmul.fp32_precision == expected
    assert matmul.fp32_precision == chosen


def test_products_are_not_rounded_after_an_error(matmul, monkeypatch):
    matmul.fp32_precision = "none"
    monkeypatch.setattr(rounding, "_gains_by_rounding", lambda: True)
    with pytest.raises(ValueError, match="amiss"), rounded_factors():
        raise ValueError("amiss")
    assert matmul.fp32_precision == "none"
