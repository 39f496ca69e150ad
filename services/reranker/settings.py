"""What the re-ranker can be told, as CASCADE_RERANKER_<FIELD>."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.reranker.config import CapConfig, DiversityConfig, ExplorationConfig, FreshnessConfig, SlateConfig
from services.runtime.settings import ServiceSettings, service_config


class RerankerSettings(ServiceSettings):
    """Its one peer, and the rules: CASCADE_RERANKER_DIVERSITY__TRADE_OFF=0.9 and so on."""

    model_config = SettingsConfigDict(**{**service_config("reranker"), "env_nested_delimiter": "__"})

    port: int = Field(50054, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    features_url: str = "grpc://127.0.0.1:50051"
    """Where the catalog comes from."""
    catalog_deadline_s: float = Field(60.0, gt=0, le=3600)
    """Longest wait for the first catalog at start-up."""
    diversity: DiversityConfig = DiversityConfig()
    """Relevance against sameness."""
    genre_cap: CapConfig = CapConfig(share=0.6)
    """Items with the same set of genres."""
    creator_cap: CapConfig = CapConfig(share=0.3)
    """Items by the same creator."""
    freshness: FreshnessConfig = FreshnessConfig()
    """New items."""
    exploration: ExplorationConfig = ExplorationConfig()
    """The last place."""

    @property
    def slate(self) -> SlateConfig:
        """The rules together."""
        return SlateConfig(self.diversity, self.genre_cap, self.creator_cap, self.freshness, self.exploration)
