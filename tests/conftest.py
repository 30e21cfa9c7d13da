"""One thread: the problems of the tests are small, and two threads on a busy machine spend their time waiting."""

import torch

torch.set_num_threads(1)
