"""What the gateway can be told."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field
from pydantic_settings import NoDecode

from services.gateway.page import Mode, host_names
from services.runtime.settings import ServiceSettings, service_config


def _names(value: object) -> object:
    return host_names(value) if isinstance(value, str) else value


class GatewaySettings(ServiceSettings):
    """Environment: CASCADE_GATEWAY_<FIELD>; the API keys are CASCADE_READ_KEY and CASCADE_WRITE_KEY."""

    model_config = service_config("gateway")

    port: int = Field(8000, ge=0, le=65535)
    """Port of the REST door; 0 takes any free one."""
    features_url: str = "grpc://127.0.0.1:50051"
    """Where features listens."""
    retrieval_url: str = "grpc://127.0.0.1:50052"
    """Where retrieval listens."""
    ranker_url: str = "grpc://127.0.0.1:50053"
    """Where the ranker listens."""
    reranker_url: str = "grpc://127.0.0.1:50054"
    """Where the re-ranker listens."""
    trainer_url: str = "grpc://127.0.0.1:50055"
    """Where the trainer listens, which says which models are tried on whom."""
    llm_url: str = "grpc://127.0.0.1:50057"
    """Where the language models listen."""
    llm_model: str = "smollm2"
    """The model that phrases explanations and reads what is left of a search."""
    kafka_url: str = Field(
        "kafka://127.0.0.1:9092", validation_alias=AliasChoices("CASCADE_GATEWAY_KAFKA_URL", "CASCADE_KAFKA_URL")
    )
    """The event log."""
    public_url: str = ""
    """Where people reach the page; told in the log once the gateway is ready."""
    catalog_deadline_s: float = Field(60.0, gt=0, le=3600)
    """How long the start may wait for the first catalog from features."""

    deadline_ms: int = Field(200, ge=20, le=2000)
    """Budget of a whole recommendation when the request names none."""
    features_ms: int = Field(60, ge=1, le=2000)
    """Most that the user's features may take of it."""
    retrieval_ms: int = Field(100, ge=1, le=2000)
    """Most that candidates may take of it."""
    ranking_ms: int = Field(100, ge=1, le=2000)
    """Most that scores may take of it."""
    reranking_ms: int = Field(60, ge=1, le=2000)
    """Most that the slate may take of it."""
    peer_ms: int = Field(2000, ge=20, le=30000)
    """Most that a peer may take where no recommendation waits: models, users, readiness."""
    append_ms: int = Field(1000, ge=100, le=30000)
    """How long the event log may take to acknowledge before records are kept on disk for it."""
    spool_bytes: int = Field(256 * 1024 * 1024, ge=0)
    """Most that may wait on disk for the event log; beyond it events are told 503, and impressions are dropped."""

    candidates: int = Field(500, ge=100, le=1000)
    """Candidates asked of retrieval for one recommendation."""
    shortlist: int = Field(100, ge=10, le=1000)
    """Best candidates by score that the re-ranker chooses from, and whose feature rows are logged; twice n if more."""
    explanation_ms: int = Field(4000, ge=10, le=60000)
    """How long the model may take for the sentence of one item before a rule says it."""
    explanations: int = Field(8, ge=1, le=256)
    """Sentences asked of the model at once, whoever wants them; others wait within their time."""
    search_model_ms: int = Field(1500, ge=0, le=60000)
    """How long the model may take over what the parser leaves of a search; 0 never asks it."""
    challenger_share: float = Field(0.0, ge=0, le=1)
    """Share of users whose candidates the ranker's challenger scores while the trainer rolls nothing out."""
    shadow_requests: int = Field(8, ge=0, le=1000)
    """Answered requests for which challengers are asked at once while they are tried unseen; more are dropped."""

    page: Mode = "open"
    """The page at /. open: it reads and posts events without a key; key, for ports others reach: it asks; off: 404."""
    page_hosts: Annotated[frozenset[str], NoDecode, BeforeValidator(_names)] = frozenset()
    """Host names, with commas, that may open it besides localhost; any other may be a foreign name rebound to us."""

    body_bytes: int = Field(1024 * 1024, ge=1024)
    """Largest request body."""
    concurrent_requests: int = Field(512, ge=1)
    """Requests served at once; more are told 429."""
    trace_bytes: int = Field(48 * 1024 * 1024, ge=0)
    """Memory for the traces of recent requests."""
    traces: int = Field(10_000, ge=1)
    """Most traces kept."""
    last_known_users: int = Field(10_000, ge=1)
    """Users whose last state is kept for when features is away."""
    recent_event_ids: int = Field(200_000, ge=1)
    """Event ids remembered to recognise duplicates early; ingest recognises the rest."""
    recent_activity_s: float = Field(60.0, ge=0, le=3600)
    """How long an item just posted about stays out of its user's answers on the gateway's own word."""
    impression_queue: int = Field(10_000, ge=1)
    """Impressions waiting for the event log; more are dropped and counted."""
