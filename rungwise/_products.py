"""Matrix products that need fewer operations than the general ones."""

from torch import Tensor

# Columns in a block of `symmetric_product`: wide enough to run at the full matrix-product rate.
_BLOCK = 512


def symmetric_product(left: Tensor, right: Tensor) -> Tensor:
    """Return leftᵀ right, (q, q), for factors of shape (n, q) whose product is known to be symmetric.

    Only blocks on and above the diagonal are computed: n q² operations and a little more, instead of 2 n q².
    """
    q = left.shape[1]
    product = left.new_empty(q, q)
    for start in range(0, q, _BLOCK):
        block = slice(start, start + _BLOCK)
        product[block, start:] = left[:, block].T @ right[:, start:]
        product[block.stop :, block] = product[block, block.stop :].T
    return product
