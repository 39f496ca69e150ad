"""Reads of the online store: users, items and the catalog's ids, each in one round trip."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis
import numpy as np
from numpy.typing import NDArray
from redis import RedisError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from models.items import ITEM_COLUMNS, ItemRows
from models.user import UserState
from services.features.packing import VIEWS_KEY, View
from services.features.rows import Presence, Rows, unpack
from services.runtime.errors import Unavailable

USER_VIEWS = ("user_profile", "user_activity", "user_history", "user_exclusions")
ITEM_VIEWS = ("item_profile", "item_activity")
PROFILE_ATTRIBUTES = ("gender", "age", "occupation", "region")
"""Fields of user_profile that become UserState.profile."""
USER_ACTIVITY = ("event_count", "recent_count", "like_rate", "mean_value", "last_seen_days")
"""Fields of user_activity that become UserState.activity."""
PROFILE_COLUMNS = ("year", "created_days")
"""The columns of ITEM_COLUMNS that item_profile holds; item_activity holds the rest."""
ACTIVITY_COLUMNS = tuple(name for name in ITEM_COLUMNS if name not in PROFILE_COLUMNS)

_PACK: Callable[[tuple[bytes, ...]], bytes] = cast(Any, hiredis.pack_command)
"""Its own annotation allows one word only."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A view that had nothing to say for some of the entities asked for."""

    view: str
    reason: Presence
    ids: NDArray[np.uint64]


class FeatureReader:
    """The online store, read by id. Every method raises Unavailable when Redis does not answer in time."""

    def __init__(self, redis: Redis, views: dict[str, View], place: str, now_us: Callable[[], int]) -> None:
        self._redis = redis
        self._views = views
        self._place = place
        self._now_us = now_us

    @property
    def item_prefixes(self) -> tuple[bytes, ...]:
        """What the Redis keys of item features begin with."""
        return tuple(self._views[name].prefix for name in ITEM_VIEWS)

    async def user(self, user_id: int) -> tuple[UserState, list[Missing]]:
        """One user; an unknown one has an empty state and every view missing."""
        rows = await self._read([(name, _one(user_id)) for name in USER_VIEWS])
        return _user_state(user_id, rows), _missing(rows)

    async def user_and_items(
        self, user_id: int, item_ids: NDArray[np.uint64]
    ) -> tuple[UserState, NDArray[np.float32], list[Missing]]:
        """One user and an (N, len(ITEM_COLUMNS)) matrix in the order asked, from one moment."""
        rows = await self._read(
            [(name, _one(user_id)) for name in USER_VIEWS] + [(name, item_ids) for name in ITEM_VIEWS]
        )
        profile, activity = rows[len(USER_VIEWS) :]
        return _user_state(user_id, rows), _item_matrix(profile, activity), _missing(rows)

    async def items(self, item_ids: NDArray[np.uint64]) -> tuple[ItemRows, NDArray[np.uint64]]:
        """The rows of the items that are in the catalog, and the ids of those that are not."""
        profile, activity = await self._read([(name, item_ids) for name in ITEM_VIEWS])
        there = np.flatnonzero(profile.presence == Presence.PRESENT)
        return _item_rows(profile, activity, there), item_ids[profile.presence != Presence.PRESENT]

    async def catalog_ids(self) -> NDArray[np.uint64]:
        """Ids of the items in the catalog, sorted."""
        index = self._views["item_profile"].index
        try:
            members = [int(member) async for member in self._redis.sscan_iter(index, count=5000)]
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        return np.unique(np.array(members, np.uint64))

    async def _read(self, wanted: Sequence[tuple[str, NDArray[np.uint64]]]) -> list[Rows]:
        keys = [key for name, ids in wanted for key in self._views[name].keys(ids)]
        try:
            replies = iter(await self._mget(keys))
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        now_us = self._now_us()
        return [unpack(self._views[name], ids, list(islice(replies, len(ids))), now_us) for name, ids in wanted]

    async def _mget(self, keys: list[bytes]) -> list[bytes | None]:
        pool = self._redis.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        try:
            # hiredis packs a thousand keys in a tenth of the time redis-py takes, which is more than Redis itself.
            await connection.send_packed_command(_PACK((b"MGET", *keys)))
            replies: list[bytes | None] = await connection.read_response()
        finally:
            await pool.release(connection)
        return replies

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"The online store, Redis at {self._place}, does not answer ({str(error) or type(error).__name__})."
        )


@asynccontextmanager
async def open_reader(
    url: str,
    *,
    timeout_s: float = 0.5,
    connections: int = 16,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> AsyncIterator[FeatureReader]:
    """A reader of the Redis at `url`. Unavailable when it does not answer or holds no definitions yet."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=timeout_s, socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 1), protocol=2,
    )  # fmt: skip
    redis, place = Redis(connection_pool=pool), place_of(url)
    try:
        yield FeatureReader(redis, await load_views(redis, place), place, now_us)
    finally:
        await redis.aclose()
        await pool.aclose()


async def load_views(redis: Redis, place: str) -> dict[str, View]:
    """The layouts that `apply_definitions` left in Redis, by view name."""
    try:
        stored = await cast(Awaitable[dict[Any, Any]], redis.hgetall(VIEWS_KEY))
    except (RedisError, OSError) as error:
        raise Unavailable(f"The online store, Redis at {place}, does not answer: {error}") from error
    views = {view.name: view for view in map(View.from_json, stored.values())}
    if absent := set(USER_VIEWS + ITEM_VIEWS) - set(views):
        raise Unavailable(
            f"Redis at {place} has no definition of {', '.join(sorted(absent))}; apply the feature definitions first."
        )
    return views


def place_of(url: str) -> str:
    """Where a Redis URL points to, without its password."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"


def _one(number: int) -> NDArray[np.uint64]:
    return np.array([number], np.uint64)


def _missing(rows: Sequence[Rows]) -> list[Missing]:
    return [
        Missing(view.view.name, reason, view.ids[view.presence == reason])
        for view in rows
        for reason in (Presence.ABSENT, Presence.EXPIRED)
        if bool((view.presence == reason).any())
    ]


def _user_state(user_id: int, rows: Sequence[Rows]) -> UserState:
    profile, activity, history, exclusions = rows[: len(USER_VIEWS)]
    attributes = {name: profile.values(name)[0] for name in PROFILE_ATTRIBUTES}
    numbers = activity.numbers(USER_ACTIVITY)[0].tolist()
    counts = dict(zip(USER_ACTIVITY, numbers, strict=True)) if activity.presence[0] == Presence.PRESENT else {}
    return UserState(
        user_id=user_id,
        profile={name: value for name, value in attributes.items() if value is not None},
        history=_array(history, "history", np.uint64),
        history_times=_array(history, "history_times", np.int64),
        history_values=_array(history, "history_values", np.float32),
        activity=counts,
        seen=_array(exclusions, "seen", np.uint64),
        hidden=_array(exclusions, "hidden", np.uint64),
    )


def _array(rows: Rows, name: str, dtype: type[Any]) -> NDArray[Any]:
    value = rows.values(name)[0]
    return np.empty(0, dtype) if value is None else value.astype(dtype, copy=False)


def _item_matrix(profile: Rows, activity: Rows) -> NDArray[np.float32]:
    matrix = np.empty((len(profile.ids), len(ITEM_COLUMNS)), np.float32)
    matrix[:, [ITEM_COLUMNS.index(name) for name in PROFILE_COLUMNS]] = profile.numbers(PROFILE_COLUMNS)
    matrix[:, [ITEM_COLUMNS.index(name) for name in ACTIVITY_COLUMNS]] = activity.numbers(ACTIVITY_COLUMNS)
    return matrix


def _item_rows(profile: Rows, activity: Rows, there: NDArray[np.int64]) -> ItemRows:
    rows = there.tolist()
    external, titles = profile.values("external_id"), profile.values("title")
    genres, creators = profile.values("genres"), profile.values("creators")
    ids = profile.ids[there]
    return ItemRows(
        ids=ids,
        item_ids=[external[row] or str(profile.ids[row]) for row in rows],
        titles=[titles[row] or "" for row in rows],
        genres=[genres[row] or () for row in rows],
        creators=[creators[row] or () for row in rows],
        features=_item_matrix(profile, activity)[there],
    )
