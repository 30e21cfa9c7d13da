"""`history_`: the reports of all blocks as a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from rungwise.fitting.training import BlockReport


def history_frame(reports: Sequence[BlockReport], label_names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each block and label: losses, errors, and what the update is made of."""
    columns = ["loss_before", "loss_after", "error_before", "error_after", "taken", "settled", "penalty"]
    frames = [
        pd.DataFrame(
            {
                "block": report.block,
                "label": list(label_names),
                **{column: _for_people(getattr(report, column)) for column in columns},
                "features": _describe_shares(report.shares),
                "seconds": report.seconds,
            }
        )
        for report in reports
    ]
    if not frames:
        return pd.DataFrame(columns=["block", "label", *columns, "features", "seconds"])
    return pd.concat(frames, ignore_index=True)


def _for_people(tensor: torch.Tensor) -> np.ndarray:
    """Return an array of doubles, or of booleans; 1e-5 in single precision would print as 9.999999747378752e-06."""
    return tensor.numpy() if tensor.dtype == torch.bool else tensor.numpy().astype(str).astype(np.float64)


def _describe_shares(shares: dict[str, torch.Tensor]) -> list[str]:
    """Return for each label what its new estimates are made of, such as "60% trees, 40% learned"."""
    names = list(shares)
    columns = torch.stack([shares[name] for name in names]).T.tolist()
    ranked = [sorted(zip(names, column, strict=True), key=lambda pair: -pair[1]) for column in columns]
    return [", ".join(f"{share:.0%} {name}" for name, share in pairs if share > 0) for pairs in ranked]
