"""What the trainer can be told when it runs as a service or as the first step of a stack."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from services.runtime.settings import ServiceSettings, service_config


class TrainerSettings(ServiceSettings):
    """Environment: CASCADE_TRAINER_<FIELD>."""

    model_config = service_config("trainer")

    port: int = Field(50055, ge=0, le=65535)
    """Port of the health check; 0 takes any free one."""
    registry_url: str = Field("", validation_alias=AliasChoices("CASCADE_REGISTRY_URL"))
    """An MLflow server; empty for the SQLite registry in data_dir."""
    redis_url: str = Field("", validation_alias=AliasChoices("CASCADE_TRAINER_REDIS_URL", "CASCADE_REDIS_URL"))
    """The online store that bootstrap fills; empty starts the one of data_dir for as long as it takes."""
    dataset: str = "ml-1m"
    """What to learn from: ml-1m, ml-100k or synthetic."""
    every_hours: float = Field(24.0, gt=0, le=24 * 366)
    """Age at which the ranker's champion is due to be trained anew."""
    retry_minutes: float = Field(15.0, gt=0, le=24 * 60)
    """Pause after a run that failed."""
