"""What the machine can do: the rate that measurements are compared with."""

import time

import torch


@torch.no_grad()
def matrix_product_rate(size: int = 4096, repeats: int = 5) -> float:
    """Return the best of some float32 matrix products, in operations per second."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)
