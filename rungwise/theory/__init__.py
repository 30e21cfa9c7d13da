"""The theory in code: threshold functions, hierarchical models, their certificates, dual kernels, a teacher's hints."""

from rungwise.theory.boolean import (
    conjunction,
    disjunction,
    fourier_expansion,
    hypercube,
    look_up,
    majority,
    multiplexer,
    parity,
    table_of,
)
from rungwise.theory.brain_dump import (
    draw_hint_weights,
    hint_correlation,
    majority_hints,
    n_hints_that_suffice,
    reconstruct_neurons,
)
from rungwise.theory.brain_dump_certificate import certify_brain_dump
from rungwise.theory.certificate import Certificate
from rungwise.theory.dual_kernels import dual_kernel, erf_kernel, random_feature_kernel, relu_kernel, step_kernel
from rungwise.theory.fit_ptf import largest_margin_ptf, ptf_degree, smallest_norm_ptf
from rungwise.theory.hermite import erf_hermite, hermite_coefficients, relu_hermite, step_hermite
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction
from rungwise.theory.polynomial import Polynomial, monomial_exponents, monomials
from rungwise.theory.ptf import PolynomialThreshold

__all__ = [
    "Certificate",
    "HierarchicalModel",
    "LabelFunction",
    "Polynomial",
    "PolynomialThreshold",
    "certify_brain_dump",
    "conjunction",
    "disjunction",
    "draw_hint_weights",
    "dual_kernel",
    "erf_hermite",
    "erf_kernel",
    "fourier_expansion",
    "hermite_coefficients",
    "hint_correlation",
    "hypercube",
    "largest_margin_ptf",
    "look_up",
    "majority",
    "majority_hints",
    "monomial_exponents",
    "monomials",
    "multiplexer",
    "n_hints_that_suffice",
    "parity",
    "ptf_degree",
    "random_feature_kernel",
    "reconstruct_neurons",
    "relu_hermite",
    "relu_kernel",
    "smallest_norm_ptf",
    "step_hermite",
    "step_kernel",
    "table_of",
]
