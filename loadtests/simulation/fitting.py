"""From held-out ratings to a world: factors of taste, the odds of a selection, the odds of being satisfied.

Without a log of what people were shown, the level b of the selection is not in the data: a sample of items that were
not rated tells how a0 and a1 weigh, not how often an examined item is turned down. So b and c are set such that pages
of the most popular and of the best items reach the expected clicks in ANCHORS.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from loadtests.simulation.clicks import PositionModel
from loadtests.simulation.split import Split
from loadtests.simulation.world import Numbers, World, sigmoid

FACTORS, RIDGE, ALPHA, ITERATIONS = 16, 5.0, 1.0, 10
"""Implicit ALS (Hu, Koren and Volinsky, ICDM 2008)."""
RATING_FACTORS, RATING_RIDGE, RATING_ITERATIONS = 16, 6.0, 8
"""Biased matrix factorisation of the ratings, by alternating least squares."""
SAMPLE, NEGATIVES = 100_000, 4
"""Held-out interactions of the regression, and items beside each that the user did not rate."""
ASIDE = 0.1
"""Share of the held-out ratings that calibrates the odds of satisfaction and is in no factor."""
ANCHORS, ANCHOR_USERS = (0.40, 1.04), 1000
"""Expected clicks of ten places at eta 1: what the system knows as most popular, and the best possible."""
Rows = NDArray[np.int64]


def fit_world(split: Split, seed: int = 0) -> World:
    """The world of one data set; the same data and seed give the same world. About ten seconds for MovieLens-1M."""
    random = np.random.default_rng(seed)
    user_ids = np.sort(split.seen.users["user_id"].to_numpy())
    item_ids = np.sort(split.seen.items["item_id"].to_numpy())
    users, items = _rows(split.held_out, user_ids, item_ids)
    seen_users, seen_items = _rows(split.seen.ratings, user_ids, item_ids)
    shape = (user_ids.size, item_ids.size)
    taken = sp.csr_matrix((np.ones(users.size, np.float32), (users, items)), shape=shape)
    log_popularity = np.log1p(np.bincount(items, minlength=item_ids.size)).astype(np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            FACTORS, RIDGE, ALPHA, iterations=ITERATIONS, random_state=seed, num_threads=1
        )  # fmt: skip
        model.fit(taken, show_progress=False)
        judgement, quality, satisfaction = _satisfaction(
            users, items, split.held_out["value"].to_numpy().astype(np.float64), shape, random
        )
    world = World(
        user_ids=user_ids, item_ids=item_ids, taste=model.user_factors, traits=model.item_factors,
        log_popularity=log_popularity,
        selection=_weights(taken, model.user_factors, model.item_factors, log_popularity, random),
        judgement=judgement, quality=quality, satisfaction=satisfaction,
        seen_users=seen_users, seen_items=seen_items, genres=_genres(split.seen.items.sort("item_id")),
        held_out=np.bincount(users, minlength=user_ids.size),
    )  # fmt: skip
    return _to_scale(world, seed)


def _genres(items: pl.DataFrame) -> NDArray[np.bool_]:
    names = items["genres"].explode().drop_nulls().unique().sort()
    return np.stack([items["genres"].list.contains(name).to_numpy() for name in names], axis=1)


def _rows(ratings: pl.DataFrame, user_ids: NDArray[np.uint64], item_ids: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    return (
        np.searchsorted(user_ids, ratings["user_id"].to_numpy()),
        np.searchsorted(item_ids, ratings["item_id"].to_numpy()),
    )


def _weights(
    taken: sp.csr_matrix, taste: NDArray[np.float32], traits: NDArray[np.float32],
    log_popularity: NDArray[np.float32], random: np.random.Generator,
) -> Numbers:  # fmt: skip
    """(4,) a0, a1, b and c = 1: interactions against items the same users did not turn to."""
    users, items = taken.nonzero()
    picked = random.choice(users.size, min(SAMPLE, users.size), replace=False)
    others = np.repeat(users[picked], NEGATIVES)
    drawn = random.integers(0, taken.shape[1], others.size)
    free = np.asarray(taken[others, drawn]).ravel() == 0
    rows = np.concatenate([users[picked], others[free]])
    columns = np.concatenate([items[picked], drawn[free]])
    inputs = np.stack([(taste[rows] * traits[columns]).sum(axis=1), log_popularity[columns], np.ones(rows.size)], 1)
    answers = (np.arange(rows.size) < picked.size).astype(np.float64)
    return np.append(logistic(inputs.astype(np.float64), answers), 1.0)


def logistic(inputs: Numbers, answers: Numbers, ridge: float = 1e-6, steps: int = 25) -> Numbers:
    """(D,) weights of a logistic regression of (N,) answers of 0 or 1 on (N, D) inputs, by Newton's method."""
    weights = np.zeros(inputs.shape[1])
    for _ in range(steps):
        chance = sigmoid(inputs @ weights)
        bend = (inputs * (chance * (1.0 - chance))[:, None]).T @ inputs + ridge * np.eye(weights.size)
        weights += np.linalg.solve(bend, inputs.T @ (answers - chance) - ridge * weights)
    return weights


def _satisfaction(
    users: Rows, items: Rows, values: Numbers, shape: tuple[int, int], random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], Numbers]:
    """Factors of users and items, and the calibration on ratings they were not fitted on."""
    aside = random.random(values.size) < ASIDE
    mean = float(values[~aside].mean())
    ratings = sp.csr_array((values[~aside] - mean, (users[~aside], items[~aside])), shape=shape)
    known = sp.csr_array((np.ones(ratings.nnz), ratings.nonzero()), shape=shape)
    of_items = random.normal(0.0, 0.1, (shape[1], RATING_FACTORS + 2))
    of_items[:, -2:] = (1.0, 0.0)
    of_users = np.zeros((shape[0], RATING_FACTORS + 2))
    for _ in range(RATING_ITERATIONS):
        of_users = _solved(ratings, known, of_items, own=-2)
        of_items = _solved(sp.csr_array(ratings.T), sp.csr_array(known.T), of_users, own=-1)
    predicted = (of_users[users[aside]] * of_items[items[aside]]).sum(axis=1)
    inputs = np.stack([predicted, np.ones(predicted.size)], axis=1)
    calibrated = logistic(inputs, (values[aside] >= 4).astype(np.float64))
    return of_users.astype(np.float32), of_items.astype(np.float32), calibrated


def _solved(ratings: sp.csr_array, known: sp.csr_array, others: Numbers, own: int) -> Numbers:
    """(N, G) ridge solution of one side given the (M, G) other side, whose fixed column of ones is `own`.

    The column of the other side's own bias is an offset here: it is taken out of the ratings and stays 1.
    """
    offset = -1 if own == -2 else -2
    free = np.delete(np.arange(others.shape[1]), offset)
    inputs = others[:, free]
    residuals = ratings @ inputs - (known @ (inputs * others[:, offset, None]))
    outer = (inputs[:, :, None] * inputs[:, None, :]).reshape(len(inputs), -1)
    bends = (known @ outer).reshape(-1, free.size, free.size) + RATING_RIDGE * np.eye(free.size)
    found = np.ones((ratings.shape[0], others.shape[1]))
    found[:, free] = np.linalg.solve(bends, residuals[:, :, None])[:, :, 0]
    return found


def _to_scale(world: World, seed: int) -> World:
    """The world with b and c such that popular and best pages meet ANCHORS; b by bisection, c by division."""
    people = world.people(seed, min(ANCHOR_USERS, int((world.held_out >= 20).sum())))
    free = world.pool(people)
    liking, popularity, _, _ = world.selection
    score = liking * (world.taste[people] @ world.traits.T).astype(np.float64) + popularity * world.log_popularity
    score = np.where(free, score, -np.inf)
    known = np.bincount(world.seen_items, minlength=world.item_ids.size)
    popular = np.argsort(-np.where(free, known, -1), axis=1, kind="stable")[:, :10]
    pages = np.take_along_axis(score, popular, axis=1), -np.sort(-score, axis=1)[:, :10]

    def clicks(level: float) -> tuple[float, float]:
        found = [PositionModel().expected(sigmoid(page + level), page).mean() for page in pages]
        return float(found[0]), float(found[1])

    low, high = -20.0, 0.0
    for _ in range(40):
        level = (low + high) / 2
        ordinary, best = clicks(level)
        low, high = (low, level) if ordinary / best > ANCHORS[0] / ANCHORS[1] else (level, high)
    scale = min(1.0, ANCHORS[1] / clicks(level)[1])
    world.selection[2:] = (level, scale)
    return world
