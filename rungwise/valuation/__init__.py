"""Which labels are worth collecting: what each is worth to one label, the target, that has to be learned."""

from rungwise.valuation.result import LabelValue
from rungwise.valuation.study import label_value

__all__ = ["LabelValue", "label_value"]
