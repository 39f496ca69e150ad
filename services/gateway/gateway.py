"""Where everything meets: peers, event log, catalog, stages; built once, entered as a context manager."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from services.gateway.activity import LastKnownUsers, RecentActivity
from services.gateway.arms import Arms
from services.gateway.catalog import Catalog
from services.gateway.clients import Peers
from services.gateway.explanations.explainer import Explainer
from services.gateway.fallback import Fallbacks
from services.gateway.filters import Filters
from services.gateway.impressions import ImpressionLog
from services.gateway.intake import Intake
from services.gateway.keys import ApiKeys, read_or_create_keys
from services.gateway.listings import Latest, Popular, Similar
from services.gateway.llm import Llm
from services.gateway.nouns import Searched
from services.gateway.people import People
from services.gateway.pipeline import Pipeline
from services.gateway.preview import Preview
from services.gateway.publisher import CatalogPublisher
from services.gateway.rollouts import Rollouts
from services.gateway.search import Query
from services.gateway.search.finder import Finder
from services.gateway.settings import GatewaySettings
from services.gateway.shadow import Shadow
from services.gateway.spool import Spool
from services.gateway.stages import ListedScores, Ranking, Reranking, Retrieval, UserFeatures
from services.gateway.traces import Traces
from services.gateway.trainings import Trainings
from services.llm.calls import Generation
from services.runtime.client import open_channel
from services.runtime.eventlog import EventLog, EventLogProducer
from services.runtime.itemfeed import ItemFeed
from services.runtime.metrics import ITEMS

SPOOL = "spool.db"
"""In the data folder: records that wait for the event log."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the routes call."""

    settings: GatewaySettings
    keys: ApiKeys
    peers: Peers
    catalog: Catalog
    pipeline: Pipeline
    similar: Similar
    popular: Popular
    latest: Latest
    intake: Intake
    publisher: CatalogPublisher
    people: People
    traces: Traces
    rollouts: Rollouts
    preview: Preview
    trainings: Trainings
    explainer: Explainer
    finder: Finder

    @property
    def patience(self) -> float:
        """Seconds a peer may take where no recommendation waits."""
        return self.settings.peer_ms / 1000


@asynccontextmanager
async def opened(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway with its first catalog. It needs features for that once; later it lives with any peer away."""
    keys = read_or_create_keys(settings.data_dir)
    producer = EventLogProducer(settings.kafka_url)
    timeout = settings.append_ms / 1000
    try:
        async with (
            ItemFeed.connect(settings.features_url, settings.catalog_deadline_s) as feed,
            Peers.connect(settings) as peers,
            Spool.open(producer, settings.data_dir / SPOOL, settings.spool_bytes) as log,
            ImpressionLog.open(log, settings.impression_queue, timeout) as impressions,
            open_channel(settings.trainer_url) as trainer,
            open_channel(settings.llm_url) as llm,
            Arms.following(trainer, settings.challenger_share) as arms,
            Shadow.open(settings.shadow_requests) as shadow,
        ):
            feed.on_change(lambda table: ITEMS.labels("gateway").set(len(table)))
            gateway = _assembled(
                settings, keys, log, Catalog(feed), peers, impressions, arms, shadow, trainer, Llm(llm)
            )
            await gateway.finder.prepare()
            try:
                yield gateway
            finally:
                await gateway.finder.close()
    finally:
        await producer.close()


def _assembled(
    settings: GatewaySettings,
    keys: ApiKeys,
    log: EventLog,
    catalog: Catalog,
    peers: Peers,
    impressions: ImpressionLog,
    arms: Arms,
    shadow: Shadow,
    trainer: grpc.aio.Channel,
    llm: Llm,
) -> Gateway:
    timeout = settings.append_ms / 1000
    filters = Filters(catalog)
    fallbacks = Fallbacks(catalog, filters)
    last_known, recent = LastKnownUsers(settings.last_known_users), RecentActivity(settings.recent_activity_s)
    traces = Traces(catalog, settings.traces, settings.trace_bytes)
    publisher = CatalogPublisher(log, catalog, timeout)
    retrieval_ms = settings.retrieval_ms
    features = UserFeatures(settings.features_ms, peers, last_known, recent)
    retrieval = Retrieval(retrieval_ms, peers, fallbacks, settings.candidates)
    reranking = Reranking(settings.reranking_ms, peers, settings.shortlist)
    pipeline = Pipeline(
        features=features,
        retrieval=retrieval,
        listed=ListedScores(retrieval_ms, peers),
        ranking=Ranking(settings.ranking_ms, peers, settings.shortlist),
        reranking=reranking,
        filters=filters,
        catalog=catalog,
        traces=traces,
        impressions=impressions,
        arms=arms,
        shadow=shadow,
    )
    return Gateway(
        settings=settings,
        keys=keys,
        peers=peers,
        catalog=catalog,
        pipeline=pipeline,
        similar=Similar(retrieval_ms, peers, fallbacks),
        popular=Popular(retrieval_ms, peers, fallbacks),
        latest=Latest(retrieval_ms, peers, fallbacks),
        intake=Intake(log, recent, settings.recent_event_ids, timeout),
        publisher=publisher,
        people=People(peers, catalog, publisher, last_known, recent, settings.peer_ms / 1000),
        traces=traces,
        preview=Preview((features, retrieval, filters, reranking), peers, catalog, settings.peer_ms / 1000),
        rollouts=Rollouts(trainer, settings.peer_ms / 1000),
        trainings=Trainings(trainer, settings.peer_ms / 1000),
        explainer=Explainer(
            traces, catalog, llm.complete, settings.llm_model, settings.explanation_ms / 1000, settings.explanations
        ),
        finder=_finder(settings, catalog, peers, pipeline, llm),
    )


def _finder(settings: GatewaySettings, catalog: Catalog, peers: Peers, pipeline: Pipeline, llm: Llm) -> Finder:
    patience, model_s = settings.peer_ms / 1000, settings.search_model_ms / 1000

    async def look(query: Query, n: int) -> Searched:
        return await peers.searched(query, n, patience)

    async def ask(generation: Generation) -> str:
        return await llm.complete(generation, model_s)

    return Finder(catalog, look, pipeline.rank, ask, settings.llm_model, model_s)
