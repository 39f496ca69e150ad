"""What the features service can be told, with the prefix CASCADE_FEATURES_."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from services.runtime.settings import ServiceSettings, service_config


class FeaturesSettings(ServiceSettings):
    """Settings of the features service."""

    model_config = service_config("features")

    port: int = Field(50051, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", validation_alias=AliasChoices("CASCADE_FEATURES_REDIS_URL", "CASCADE_REDIS_URL")
    )
    """The online store, redis://host:port/db or unix:///path."""
    store_timeout_s: float = Field(0.5, gt=0, le=60)
    """How long Redis may take to connect or to answer a read, in seconds."""
    store_connections: int = Field(16, ge=1, le=1000)
    """Connections to Redis at most; further reads wait for one."""
    start_seconds: float = Field(60.0, gt=0, le=3600)
    """How long to wait at start-up for Redis and for the definitions in it, in seconds."""
    coalesce_ms: float = Field(50.0, ge=0, le=10_000)
    """How long changes of items are gathered before they are sent, in milliseconds."""
