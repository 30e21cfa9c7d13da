"""Where a network runs."""

import torch


def find_device(name: str) -> torch.device:
    """Return the PyTorch device called ``name``; "auto" is a GPU if there is one.

    Raises
    ------
    ValueError
        If the name is unknown or the machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise TypeError("it holds no data")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "not available"
        raise ValueError(
            f'device must be "auto", "cpu" or a device of this machine, however: device={name!r} ({reason})'
        ) from None
    return device
