"""Scoring and splitting for label matrices that are annotated only in part, which scikit-learn's own tools refuse."""

from rungwise.model_selection.scorers import METRICS, MaskedScorer
from rungwise.model_selection.stratified import MultilabelStratifiedKFold

__all__ = ["METRICS", "MaskedScorer", "MultilabelStratifiedKFold"]
