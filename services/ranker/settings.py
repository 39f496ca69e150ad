"""What the ranker can be told, with the prefix CASCADE_RANKER_."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from services.runtime.settings import ServiceSettings, service_config


class RankerSettings(ServiceSettings):
    """Settings of the ranker."""

    model_config = service_config("ranker")

    port: int = Field(50053, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    features_url: str = "grpc://127.0.0.1:50051"
    """The features service, which streams the catalog."""
    registry_url: str = Field("", validation_alias=AliasChoices("CASCADE_RANKER_REGISTRY_URL", "CASCADE_REGISTRY_URL"))
    """An MLflow server; empty means the SQLite registry in the data folder."""
    catalog_seconds: float = Field(60.0, gt=0, le=3600)
    """How long to wait at start-up for the whole catalog, in seconds."""
    poll_seconds: float = Field(1.0, gt=0, le=3600)
    """How often the registry is asked whether champion, challenger, previous or the objectives changed, in seconds."""
    kept_versions: int = Field(4, ge=3, le=32)
    """Versions in memory at most: champion, challenger, previous, and those that were so most recently."""
