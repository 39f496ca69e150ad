"""What ingest can be told, with the prefix CASCADE_INGEST_."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from services.runtime.settings import ServiceSettings, service_config


class IngestSettings(ServiceSettings):
    """Settings of ingest."""

    model_config = service_config("ingest")

    port: int = Field(50056, ge=0, le=65535)
    """Port of the health check; 0 takes any free one."""
    kafka_url: str = Field(
        "kafka://127.0.0.1:9092", validation_alias=AliasChoices("CASCADE_INGEST_KAFKA_URL", "CASCADE_KAFKA_URL")
    )
    """The event log."""
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", validation_alias=AliasChoices("CASCADE_INGEST_REDIS_URL", "CASCADE_REDIS_URL")
    )
    """The online store, redis://host:port/db or unix:///path."""
    group: str = "ingest"
    """Consumer group; its members share the partitions."""
    session_seconds: float = Field(6.0, gt=0, le=300)
    """How long a member that fell silent keeps its partitions; a real broker asks for 6 at least."""
    fetch_wait_ms: int = Field(50, ge=1, le=10_000)
    """How long a fetch waits for a record; the in-memory broker answers only then, so it bounds the delay there."""
    start_seconds: float = Field(60.0, gt=0, le=3600)
    """How long to wait at start-up for Redis and for the feature definitions in it, in seconds."""
    batch_records: int = Field(2000, ge=1, le=100_000)
    """Most records folded into the features in one transaction."""
    lake_seconds: float = Field(1.0, gt=0, le=300)
    """How long records are gathered before they become a file of the lake and their offsets are committed."""
    lake_rows: int = Field(20_000, ge=1)
    """Rows that make a file before its time; no more are read while that many cannot be written."""
    lake_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """Likewise, by the weight of the records; impressions weigh more than events."""
    compact_files: int = Field(32, ge=2, le=1000)
    """Files of one day that are merged into one when there are more of a kind."""
