"""One user and N items, three ways: stock Feast, Feast on the packed store, and GetFeatures over gRPC.

    python -m loadtests.feature_store            # an own Redis, 1000 items, 300 calls each

All three run in one process tree, on the same rows, one after the other.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from feast import FeatureStore, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStoreConfig
from rich.console import Console
from rich.table import Table

from services.features.definitions import ENTITIES, SERVICES, VIEWS, apply_definitions
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.client import open_channel
from services.runtime.stores import redis_server

ACTIVITY = ("event_count", "recent_count", "like_rate", "mean_value", "last_seen_days")
"""Numeric item features that are asked for, beside year and created_days."""
START_SECONDS = 60.0


def measure(items: int = 1000, calls: int = 300, folder: Path | None = None) -> dict[str, Any]:
    """Milliseconds p50 and p99 of each way, and how many times faster than stock Feast GetFeatures is at p50."""
    with tempfile.TemporaryDirectory(dir=folder) as place, redis_server(Path(place) / "redis") as url:
        packed, stock = apply_definitions(Path(place), url), _stock_store(Path(place), url)
        for store in (packed, stock):
            _fill(store, items)
        gc.collect()
        gc.freeze()
        ids = np.random.default_rng(0).permutation(np.arange(1, items + 1)).tolist()
        timings = {
            "stock Feast": _timed(lambda: _ask_feast(stock, ids), max(20, calls // 10)),
            "Feast, packed store": _timed(lambda: _ask_feast(packed, ids), max(20, calls // 10)),
        }
        with _features_process(url) as address:
            timings |= asyncio.run(_ask_service(address, ids, calls))
        gc.unfreeze()
    figures = {name: _percentiles(values) for name, values in timings.items()}
    ratio = figures["stock Feast"]["p50_ms"] / figures["GetFeatures"]["p50_ms"]
    return {"items": items, "ways": figures, "getfeatures_times_faster_than_stock": round(ratio, 1)}


def _stock_store(folder: Path, url: str) -> FeatureStore:
    address = urlsplit(url)
    store = FeatureStore(
        config=RepoConfig(
            project="cascade",
            provider="local",
            registry=str(folder / "stock.db"),
            offline_store={"type": "duckdb"},
            online_store=RedisOnlineStoreConfig(connection_string=f"{address.hostname}:{address.port},db=1"),
            entity_key_serialization_version=3,
        )
    )
    store.apply([*ENTITIES, *VIEWS, *SERVICES])
    return store


def _fill(store: FeatureStore, items: int) -> None:
    """`items` items with a profile and activity, and one user with a full history."""
    ids, now = range(1, items + 1), pd.Timestamp.now("UTC")
    stamps = {"event_timestamp": now, "created_timestamp": now}
    names = [str(number) for number in ids]
    genres = [["Drama", "War"]] * items
    profile = {"item_id": ids, "external_id": names, "title": names, "year": 1990, "genres": genres, "creators": genres}
    item_frame = pd.DataFrame(profile | {"created_days": 1.5} | stamps).astype({"year": "Int32"})
    counts = {"event_count": 5, "like_count": 1, "judged_count": 2, "value_count": 2, "value_sum": 7.5}
    counts |= {"recent_count": 1.25, "like_rate": 0.5, "mean_value": 3.5, "last_seen_us": 10**15}
    activity = {"item_id": ids} | counts | {"last_seen_days": 20000.0} | stamps
    histories = {"history": [list(range(1, 51))], "history_times": [list(range(50))], "history_values": [[4.0] * 50]}
    store.write_to_online_store("item_profile", item_frame)
    store.write_to_online_store("item_activity", pd.DataFrame(activity))
    store.write_to_online_store("user_history", pd.DataFrame({"user_id": [1]} | histories | stamps))
    seen = {"seen": [list(range(1, 201))], "hidden": [[1]]}
    store.write_to_online_store("user_exclusions", pd.DataFrame({"user_id": [1]} | seen | stamps))


def _ask_feast(store: FeatureStore, ids: list[int]) -> None:
    user = ["user_history:history", "user_history:history_times", "user_history:history_values", "user_exclusions:seen"]
    store.get_online_features(user, [{"user_id": 1}])
    features = ["item_profile:year", "item_profile:created_days", *(f"item_activity:{name}" for name in ACTIVITY)]
    store.get_online_features(features, {"item_id": ids})


@contextmanager
def _features_process(url: str) -> Iterator[str]:
    """The features service in a process of its own; yields its gRPC URL."""
    settings = {"CASCADE_REDIS_URL": url, "CASCADE_FEATURES_PORT": "0", "OMP_NUM_THREADS": "1", "PATH": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.features"], env=settings, stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"grpc://{_address(process)}"
    finally:
        process.terminate()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + START_SECONDS
    assert process.stdout is not None
    for line in process.stdout:
        entry = json.loads(line)
        if entry.get("event") == "ready":
            return str(entry["address"])
        if time.monotonic() > deadline:
            break
    raise TimeoutError("The features service did not become ready.")


async def _ask_service(url: str, ids: list[int], calls: int) -> dict[str, list[float]]:
    async with open_channel(url) as channel:
        stub = features_pb2_grpc.FeaturesStub(channel)
        many = features_pb2.GetFeaturesRequest(user_id=1, item_ids=ids)
        return {
            "GetFeatures": await _timed_async(lambda: stub.GetFeatures(many), calls),
            "GetUser": await _timed_async(lambda: stub.GetUser(features_pb2.GetUserRequest(user_id=1)), calls),
        }


def _timed(ask: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call after a few that warm up."""
    times = []
    for number in range(calls + 5):
        started = time.perf_counter()
        ask()
        if number >= 5:
            times.append(time.perf_counter() - started)
    return times


async def _timed_async(ask: Callable[[], Any], calls: int) -> list[float]:
    times = []
    for number in range(calls + 20):
        started = time.perf_counter()
        await ask()
        if number >= 20:
            times.append(time.perf_counter() - started)
    return times


def _percentiles(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "calls": len(seconds)}


def main() -> dict[str, Any]:
    """Measures, prints a table, returns the figures."""
    figures = measure()
    table = Table(title=f"One user and {figures['items']} items")
    for column in ("", "p50 ms", "p99 ms", "calls"):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in figures["ways"].items():
        table.add_row(name, f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", str(row["calls"]))
    console = Console()
    console.print(table)
    console.print(f"GetFeatures is {figures['getfeatures_times_faster_than_stock']} times faster than stock Feast.")
    return figures


if __name__ == "__main__":
    main()
