"""What the retrieval service can be told, as CASCADE_RETRIEVAL_<FIELD>."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from services.retrieval.config import RetrievalConfig
from services.runtime.settings import ServiceSettings, service_config


class RetrievalSettings(ServiceSettings):
    """Peers, index, and how the sources share the list."""

    model_config = service_config("retrieval")

    port: int = Field(50052, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    features_url: str = "grpc://127.0.0.1:50051"
    """Where the catalog comes from."""
    registry_url: str = Field("", validation_alias=AliasChoices("CASCADE_REGISTRY_URL"))
    """An MLflow server; empty for the SQLite registry in data_dir."""
    index_url: str = ""
    """Where vectors are searched: edge:///path, qdrant://host:6334 or qdrant+http://host:6333; empty for an edge
    index under data_dir."""
    text_index_url: str = ""
    """Where words are searched: edge:///path, qdrant://host:6334/collection or qdrant+http://host:6333/collection;
    empty goes beside the vectors."""
    collection_prefix: str = Field("two_tower", pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
    """How the names of collections and of the champion's alias begin on a Qdrant server."""
    poll_seconds: float = Field(1.0, gt=0, le=3600)
    """How often the registry is asked for new champions and challengers."""
    source_deadline_ms: float = Field(25.0, gt=0, le=60_000)
    """Longest wait for a source that is another process."""
    catalog_deadline_s: float = Field(60.0, gt=0, le=3600)
    """Longest wait for the first catalog at start-up."""
    sources: RetrievalConfig | None = None
    """Shares of the sources in the merged list, as JSON; those learned with the towers when left out."""
