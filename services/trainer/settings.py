"""What the trainer can be told when it runs as a service or as the first step of a stack."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, field_validator

from services.runtime.errors import SettingsError
from services.runtime.settings import ServiceSettings, service_config
from services.trainer.kinds import DEFAULT_RANKERS, kinds_of
from services.trainer.learning.config import Position
from services.trainer.rollout.settings import RolloutSettings


class TrainerSettings(ServiceSettings):
    """Environment: CASCADE_TRAINER_<FIELD>."""

    model_config = service_config("trainer")

    port: int = Field(50055, ge=0, le=65535)
    """Port of the rpcs; 0 takes any free one."""
    registry_url: str = Field("", validation_alias=AliasChoices("CASCADE_REGISTRY_URL"))
    """An MLflow server; empty for the SQLite registry in data_dir."""
    redis_url: str = Field("", validation_alias=AliasChoices("CASCADE_TRAINER_REDIS_URL", "CASCADE_REDIS_URL"))
    """The online store that bootstrap fills; empty starts the one of data_dir for as long as it takes."""
    dataset: str = ""
    """What to learn from: ml-1m, ml-100k, synthetic or the name of what was imported; empty: what the lake holds, or
    ml-1m."""
    rankers: str = DEFAULT_RANKERS
    """What a full run fits, with commas: the champion first, then the challenger."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where torch models are fitted; auto takes the GPU where there is one."""
    processes: int = Field(1, ge=1, le=64)
    """Processes that share each torch fit, on GPUs one for each of them. torchrun is started by the trainer."""
    interests: int = Field(1, ge=1, le=16)
    """Vectors that stand for a user in the towers of a full run; a continuous run keeps those of its champion."""
    every_hours: float = Field(24.0, gt=0, le=24 * 366)
    """Age at which a full run is due, over the whole lake."""
    learn_minutes: float = Field(5.0, gt=0, le=7 * 24 * 60)
    """How often a continuous run starts when something new came."""
    learn_examples: int = Field(5000, ge=0)
    """Newly shown items that start a continuous run before its time; 0: they do not."""
    learn_retrieval: bool = True
    """Whether a continuous run refits the retrieval models too."""
    ripe_seconds: float = Field(120.0, ge=0, le=24 * 3600)
    """Age of a shown list from which on the lack of a reaction counts."""
    position: Position = "feature"
    """What is done about where things were shown: none, feature or weights."""
    niceness: int = Field(10, ge=0, le=19)
    """Runs give way to everything that serves by so much."""
    retry_minutes: float = Field(15.0, gt=0, le=24 * 60)
    """Pause after a run that failed."""
    metrics_urls: str = "http://127.0.0.1:8000/metrics,http://127.0.0.1:9156/metrics"
    """Where a rollout reads what the gateway and ingest counted; with commas. Empty: nothing ends a rollout."""
    rollout: RolloutSettings = RolloutSettings()
    """Steps and guardrails of a rollout, as JSON."""

    @field_validator("rankers")
    @classmethod
    def _known(cls, rankers: str) -> str:
        try:
            return ",".join(kinds_of(rankers))
        except SettingsError as error:
            raise ValueError(error.sentence) from error
