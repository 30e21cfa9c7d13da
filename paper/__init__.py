"""The claims of the paper (arXiv 2601.00455), measured: one module for each, run by `python -m paper`."""
