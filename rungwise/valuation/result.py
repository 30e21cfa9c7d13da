"""What `label_value` returns: a table with a row for each label, and the errors that it is made from."""

from dataclasses import dataclass

import pandas as pd

COLUMNS = (
    "label",
    "level",
    "found",
    "value",
    "value_se",
    "alone",
    "alone_se",
    "with_ancestors",
    "with_ancestors_se",
    "annotated",
    "next_doubling",
    "next_doubling_se",
    "worth_annotating",
)


@dataclass(frozen=True)
class LabelValue:
    """What each label is worth to the target.

    All errors are error rates of the target on rows that the fit has not seen. A label lowers the error by being
    learned along with the target, from the rows where it is annotated; nobody needs to know it of the rows to predict.

    Attributes
    ----------
    target : str
    error_by_itself : float
        Error of the target when no other label is there.
    error_with_ancestors : float
        When those labels are there that it was found to stand on, directly or through others.
    error_with_all : float
        When all labels are there.
    frame : DataFrame
        A row for each label but the target, the most valuable first:

        =================== ==========================================================================================
        column              meaning
        =================== ==========================================================================================
        "label"             its name
        "level"             the level that it was found at (the lower median over the folds), 0 = never learned
        "found"             in which share of the folds it was found to be an ancestor of the target
        "value"             its share in what all labels together take off the target's error: of ancestors the
                            Shapley value
        "alone"             what it takes off when there is no other label
        "with_ancestors"    what it takes off when the other ancestors of the target, and its own, are there already
        "annotated"         on how many rows it is annotated
        "next_doubling"     what annotating it on twice as many rows is expected to take off; NaN if it was never found
        "worth_annotating"  how many more rows of it are worth annotating: as long as a doubling is expected to take
                            off more than its standard error and half a percentage point, at most three times as many
        =================== ==========================================================================================

        Columns that end in "_se" are standard errors over rows (groups, if given); 0 where no prediction changed.
        They do not tell how another draw of training rows would come out. That of "value" also counts
        the draw of orders.
    """

    target: str
    error_by_itself: float
    error_with_ancestors: float
    error_with_all: float
    frame: pd.DataFrame

    def __str__(self) -> str:
        shown = self.frame[
            ["label", "level", "value", "alone", "with_ancestors", "annotated", "worth_annotating"]
        ].copy()
        for column in ("value", "alone", "with_ancestors"):
            shown[column] = [
                f"{value:.3f} ± {error:.3f}"
                for value, error in zip(self.frame[column], self.frame[f"{column}_se"], strict=True)
            ]
        return f"{self.summary}\n{shown.to_string(index=False)}"

    @property
    def summary(self) -> str:
        """The errors in one line."""
        return (
            f"error of {self.target}: {self.error_by_itself:.3f} by itself, {self.error_with_ancestors:.3f} with its "
            f"ancestors, {self.error_with_all:.3f} with all labels"
        )
