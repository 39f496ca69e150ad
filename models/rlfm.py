"""Latent factors of users and items whose priors are regressions on what is known of them.

    rating = mean + item bias + <w, (1, item factors)> + noise,   w ~ N(B' user features, S),
    (item bias, item factors) ~ N(G' item features, diag T)

Agarwal and Chen, "Regression-based Latent Factor Models" (KDD 2009), fitted by variational Bayes (Lim and Teh,
"Variational Bayesian Approach to Movie Rating Prediction", KDD Cup 2007), which shrinks what the data do not support
and needs neither a learning rate nor a penalty. What a user's vector is at a moment, `rlfm_filter` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

_RIDGE = 10.0
"""Weight of the penalty on the regressions of the priors."""
_START = 0.3
"""Standard deviation of the item factors that a fit begins with."""

_LEAST_NOISE = 1e-3
_NOISE_SAMPLE = 5_000
"""Ratings that tell the noise, which all of them would tell little better."""


@dataclass(frozen=True, slots=True)
class RlfmConfig:
    """Size and length of a fit."""

    width: int = 24
    """Factors beside the biases."""
    sweeps: int = 10
    """Rounds of users, then items. More gain little and cost the same each."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """E ratings by rows of their users and items."""

    users: Rows
    """(E,)"""
    items: Rows
    """(E,)"""
    values: Floats
    """(E,)"""


@dataclass(frozen=True, slots=True)
class Rlfm:
    """A fitted model."""

    mean: float
    item_bias: Floats
    """(I,)"""
    items: Floats
    """(I, D) a one, which the user's bias multiplies, then the factors."""
    users_prior: Floats
    """(U, D) what a user's vector is expected to be before the first rating: a bias, then the factors."""
    covariance: Floats
    """(D, D) of users' vectors around it."""
    noise: float
    """Variance of a rating around its prediction by the true vectors."""

    def posterior(self, ratings: Ratings) -> tuple[Floats, Floats]:
        """Means (U, D) and covariances (U, D, D) of the users' vectors after these ratings: a ridge regression each."""
        shape = len(self.users_prior), len(self.items)
        rated = sp.csr_array((np.ones(ratings.users.size), (ratings.users, ratings.items)), shape)
        residuals = ratings.values - self.mean - self.item_bias[ratings.items]
        weighed = sp.csr_array((residuals, (ratings.users, ratings.items)), shape)
        return _gaussians(
            _grams(rated, _squares(self.items)) / self.noise,
            np.asarray(weighed @ self.items) / self.noise,
            self.users_prior,
            _inverse(self.covariance),
        )


def fit_rlfm(ratings: Ratings, user_features: Floats, item_features: Floats, config: RlfmConfig, seed: int) -> Rlfm:
    """The model after `config.sweeps` rounds. Both features begin with a column of ones; (U, K) and (I, L)."""
    return _Fit(ratings, user_features, item_features, config.width + 1, seed).run(config.sweeps)


class _Fit:
    """Means and covariances of both sides, improved in turns.

    A side's `vectors` hold the bias in column 0. Where the other side is regressed on them, column 0 is the constant
    that the other's bias multiplies, so it has no variance there.
    """

    def __init__(self, ratings: Ratings, user_features: Floats, item_features: Floats, width: int, seed: int) -> None:
        users, items = len(user_features), len(item_features)
        self.ratings, self.mean = ratings, float(ratings.values.mean())
        self.user_side = _Side(user_features, np.bincount(ratings.users, minlength=users) > 0, width)
        self.item_side = _Side(item_features, np.bincount(ratings.items, minlength=items) > 0, width)
        random = np.random.default_rng(seed)
        self.item_side.vectors[:, 1:] = random.normal(0, _START, (items, width - 1))
        self.noise = max(float(ratings.values.var()), _LEAST_NOISE)
        self._sample = random.choice(ratings.users.size, min(_NOISE_SAMPLE, ratings.users.size), replace=False)
        self._rated = sp.csr_array((np.ones(ratings.users.size), (ratings.users, ratings.items)), (users, items))

    def run(self, sweeps: int) -> Rlfm:
        for _ in range(sweeps):
            self._update(self.user_side, self.item_side, self._rated, diagonal=False)
            self._update(self.item_side, self.user_side, sp.csr_array(self._rated.T), diagonal=True)
            self.noise = max(self._expected_square(), _LEAST_NOISE)
        users, items = self.user_side, self.item_side
        return Rlfm(self.mean, items.vectors[:, 0], items.design(), users.expected(), users.spread, self.noise)

    def _update(self, side: _Side, other: _Side, rated: sp.csr_array, diagonal: bool) -> None:
        """The posterior of one side given the other, then its prior given the posterior."""
        by, across = (
            (self.ratings.users, self.ratings.items) if side is self.user_side
            else (self.ratings.items, self.ratings.users)
        )  # fmt: skip
        residuals = self.ratings.values - self.mean - other.vectors[across, 0]
        weighed = sp.csr_array((residuals, (by, across)), rated.shape)
        linear = weighed @ other.design() - rated @ other.bias_covariance()
        side.vectors, side.covariances = _gaussians(
            _grams(rated, other.second_moments()) / self.noise, linear / self.noise,
            side.expected(), _inverse(side.spread),
        )  # fmt: skip
        side.refit_prior(diagonal)

    def _expected_square(self) -> float:
        """Mean of (rating - prediction)^2 over both posteriors, from the sample."""
        rows, columns = self.ratings.users[self._sample], self.ratings.items[self._sample]
        users, items = self.user_side, self.item_side
        u, z = users.vectors[rows], items.vectors[columns]
        predicted = self.mean + u[:, 0] + z[:, 0] + np.einsum("ed,ed->e", u[:, 1:], z[:, 1:])
        u[:, 0] = z[:, 0] = 1.0
        of_user, of_item = users.covariances[rows], items.covariances[columns]
        error = np.square(self.ratings.values[self._sample] - predicted)
        error += _form(z, of_user) + _form(u, of_item)
        error += (of_user[:, 1:, 1:] * of_item[:, 1:, 1:]).sum(axis=(1, 2))
        return float(error.mean())


class _Side:
    """The users, or the items."""

    def __init__(self, features: Floats, known: NDArray[np.bool_], width: int) -> None:
        self.features, self.known = features, known
        self.vectors = np.zeros((len(features), width))
        self.covariances = np.zeros((len(features), width, width))
        self.weights = np.zeros((features.shape[1], width))
        self.spread = np.diag([0.25, *[0.05] * (width - 1)])

    def expected(self) -> Floats:
        """(N, D) the prior's means."""
        return self.features @ self.weights

    def design(self) -> Floats:
        """(N, D) vectors with the constant in the place of the bias."""
        return np.concatenate([np.ones((len(self.vectors), 1)), self.vectors[:, 1:]], axis=1)

    def second_moments(self) -> NDArray[np.float32]:
        """(N, D * D) E[z z'] of z = (1, factors)."""
        moments = _squares(self.design()).reshape(self.covariances.shape)
        moments[:, 1:, 1:] += self.covariances[:, 1:, 1:].astype(np.float32)
        return moments.reshape(len(moments), -1)

    def bias_covariance(self) -> Floats:
        """(N, D) Cov(bias, z)."""
        found = self.covariances[:, 0, :].copy()
        found[:, 0] = 0.0
        return found

    def refit_prior(self, diagonal: bool) -> None:
        """Regresses the vectors on the features, over those with ratings; the others are what is expected of them."""
        x, vectors = self.features[self.known], self.vectors[self.known]
        self.weights = _inverse(x.T @ x + _RIDGE * np.eye(x.shape[1])) @ x.T @ vectors
        away = vectors - x @ self.weights
        spread = (away.T @ away + self.covariances[self.known].sum(axis=0)) / len(vectors)
        self.spread = np.diag(np.diag(spread)) if diagonal else spread
        self.vectors[~self.known] = self.expected()[~self.known]


def _squares(z: Floats) -> NDArray[np.float32]:
    """(N, D) -> (N, D * D) outer products."""
    narrow = z.astype(np.float32)
    return (narrow[:, :, None] * narrow[:, None, :]).reshape(len(z), -1)


def _grams(rated: sp.csr_array, squares: NDArray[np.float32]) -> Floats:
    """(R, D, D) sums over what each row of an (R, N) matrix has rated."""
    width = round(squares.shape[1] ** 0.5)
    return np.asarray(rated.astype(np.float32) @ squares, np.float64).reshape(-1, width, width)


def _gaussians(grams: Floats, linear: Floats, prior: Floats, precision: Floats) -> tuple[Floats, Floats]:
    covariances = _inverse(grams + precision)
    means = (covariances @ (linear + prior @ precision)[:, :, None])[:, :, 0]
    return means, covariances


def _form(vectors: Floats, matrices: Floats) -> Floats:
    """(E,) v' M v."""
    return np.asarray(np.einsum("ed,ed->e", (matrices @ vectors[:, :, None])[:, :, 0], vectors), np.float64)


def _inverse(matrices: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrices), np.float64)
