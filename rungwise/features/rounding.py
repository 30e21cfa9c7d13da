"""Matrix products with rounded factors, on processors that have units for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def _gains_by_rounding() -> bool:
    # Without matrix units the rounding products are slower than the others.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16", False))


@contextmanager
def rounded_factors() -> Iterator[None]:
    """Let factors of matrix products be rounded to bfloat16 on processors that gain by it, unless the user decided.

    The setting is one of the whole process: products in other threads are rounded meanwhile, too.
    """
    matmul = torch.backends.mkldnn.matmul if _gains_by_rounding() else None  # type: ignore[attr-defined]
    if matmul is None or matmul.fp32_precision != "none":
        yield
        return
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        if matmul.fp32_precision == "bf16":
            matmul.fp32_precision = "none"
