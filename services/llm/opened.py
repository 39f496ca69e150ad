"""Where everything meets: keys, limits, budgets, guardrails, caches, backends; built once, entered by `async with`.

async with opened(settings) as pipeline:
    ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from services.llm.admission.accounting import Accounts
from services.llm.admission.admission import HOUSE, Admission
from services.llm.admission.budgets import Budgets
from services.llm.admission.limits import Limits
from services.llm.admission.prices import Prices
from services.llm.backends.backend import Backend
from services.llm.backends.opening import Opening, open_backend
from services.llm.caches.caches import Caches
from services.llm.caches.exact import ExactCache
from services.llm.caches.semantic import SemanticCache
from services.llm.config import CacheConfig, LlmConfig, read_config
from services.llm.engine_metrics import EngineMetrics, TellsStats
from services.llm.guardrails.guardrails import Guardrails
from services.llm.observed import Observed
from services.llm.pipeline import Pipeline
from services.llm.routing.router import open_router
from services.llm.settings import LlmSettings
from services.runtime.encoder import load_encoder

BUDGETS = "llm-budgets.db"
"""In the data folder: what each key has spent."""
MEGABYTE = 1024 * 1024


@asynccontextmanager
async def opened(settings: LlmSettings) -> AsyncIterator[Pipeline]:
    """A pipeline whose models are loaded. SettingsError tells what is wrong with the configuration."""
    config = read_config(settings.config)
    keys = config.virtual_keys(settings.data_dir)
    everybody = (*keys.all, HOUSE)
    observed = Observed(engines := EngineMetrics())
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    semantic = _semantic(config.caches)
    async with (
        _closed_after(semantic),
        Budgets.open(settings.data_dir / BUDGETS, everybody) as budgets,
        open_router(config.routes(settings), observer=observed, opener=partial(_open, engines)) as router,
    ):
        admission = Admission(keys, Limits(everybody), budgets, Accounts(), _prices(config))
        yield Pipeline(
            config, admission, Guardrails(config.guardrails), _caches(config.caches, semantic), router, observed
        )


def _open(engines: EngineMetrics, url: str, opening: Opening) -> Backend:
    backend = open_backend(url, opening)
    if isinstance(backend, TellsStats):
        engines.add(url.removeprefix("native://"), backend.stats)
    return backend


def _prices(config: LlmConfig) -> Prices:
    return Prices({name: model.price for name, model in config.models.items()}, config.caches.hit_share)


def _caches(config: CacheConfig, semantic: SemanticCache | None) -> Caches:
    exact = ExactCache(config.exact_megabytes * MEGABYTE, config.exact_seconds) if config.exact_megabytes else None
    return Caches(exact, semantic)


def _semantic(config: CacheConfig) -> SemanticCache | None:
    return None if config.semantic is None else SemanticCache(load_encoder(), config.semantic)


@asynccontextmanager
async def _closed_after(semantic: SemanticCache | None) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if semantic is not None:
            await semantic.close()
