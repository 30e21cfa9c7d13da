"""The learners that ours is compared with, each run in a process of its own that is ended when its time is up."""

import importlib.util
import multiprocessing
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks._problem import Answer, Answers, Problem
from benchmarks._resnet import end_to_end
from benchmarks._shallow import boosted_trees, classifier_chain, random_forest
from rungwise import RungwiseClassifier
from rungwise.features import RandomFeatures


def residual_network(problem: Problem) -> Answers:
    """Learn end to end, all labels supervised."""
    return end_to_end(problem, np.arange(problem.Y.shape[-1]))


def residual_network_deepest(problem: Problem) -> Answers:
    """Learn end to end, only the labels of the deepest level supervised."""
    return end_to_end(problem, problem.deepest)


def random_features(problem: Problem) -> Answers:
    """Learn by the paper's algorithm: one block first, then a few, then as many as help."""
    features = RandomFeatures(width=64) if problem.quick else "random"
    depths = ((1, "1 block, no time for more"), (4, "at most 4 blocks, no time for more"), (500, ""))
    for max_depth, note in depths[:1] if problem.quick else depths:
        learner = RungwiseClassifier(features, neighborhood=problem.neighborhood, max_depth=max_depth, random_state=0)
        fitted = learner.fit(problem.X, problem.Y)
        predictions = [fitted.predict(X).astype(np.int8) for X in problem.X_tests]
        yield Answer(predictions, note or f"{fitted.n_blocks_} blocks")


PEERS: dict[str, Callable[[Problem], Answers]] = {
    "ResNet end to end": residual_network,
    "ResNet, deepest labels only": residual_network_deepest,
    "classifier chain": classifier_chain,
    "random forest": random_forest,
    "XGBoost": boosted_trees,
    "random features (the paper)": random_features,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a peer: its last answer (None if it gave none), the seconds until then, and a remark."""

    answer: Answer | None
    seconds: float
    remark: str


class PeerRunner:
    """A process that runs one peer after another, started again after it had to be ended; a context manager."""

    def __init__(self) -> None:
        # Not a fork: threads of matrix products do not survive one.
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection

    def __enter__(self) -> "PeerRunner":
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def run(self, peer: str, problem: Problem) -> Outcome:
        """Return the last answer that a peer gives before its time is up."""
        if peer == "XGBoost" and importlib.util.find_spec("xgboost") is None:
            return Outcome(None, 0.0, 'skipped: xgboost is not installed (pip install "rungwise[bench]")')
        self._start()
        self._connection.send((peer, problem))
        self._connection.recv()  # the problem has arrived
        began = time.perf_counter()
        limit = problem.limit
        answer, seconds = None, 0.0
        while (left := began + limit - time.perf_counter()) > 0 and self._connection.poll(left):
            try:
                kind, content = self._connection.recv()
            except EOFError:  # for example killed for want of memory
                self._end()
                return Outcome(answer, seconds, "its process died")
            if kind == "failed":
                return Outcome(answer, seconds, f"failed: {content}")
            if kind == "done":
                return Outcome(answer, seconds, answer.note if answer else "gave no answer")
            answer, seconds = content, time.perf_counter() - began
        self._end()
        if answer is None:
            return Outcome(None, limit, f"no answer in {limit:.0f} s")
        return Outcome(answer, seconds, f"{answer.note}; ended after {limit:.0f} s")

    def _start(self) -> None:
        if self._process is None:
            self._connection, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(theirs,))
            self._process.start()
            theirs.close()
            self._connection.recv()  # imports are done

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _serve(connection: Connection) -> None:
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    optimizer.step()  # the first one anywhere imports for seconds, which are not a peer's
    warnings.simplefilter("ignore", ConvergenceWarning)  # of a chain's thousands of regressions, some do not
    connection.send("ready")
    while True:
        peer, problem = connection.recv()
        connection.send("received")
        try:
            for answer in PEERS[peer](problem):
                connection.send(("answer", answer))
            connection.send(("done", None))
        except Exception as error:
            traceback.print_exc()
            connection.send(("failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"))
