"""What the local stack can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ServiceSettings, service_config


class LocalSettings(ServiceSettings):
    """Environment: CASCADE_<FIELD>. Everything else the environment holds is handed on to the services."""

    model_config = SettingsConfigDict(**{**service_config("local"), "env_prefix": "CASCADE_"})

    log_format: Literal["json", "console"] = Field("console", validation_alias=AliasChoices("CASCADE_LOG_FORMAT"))
    """How the services write their logs."""
    redis_url: str = ""
    """A Redis that runs already; empty starts one under the data folder."""
    kafka_url: str = ""
    """A Kafka that runs already; empty starts the in-memory one."""
    redis_port: int = Field(6379, ge=0, le=65535)
    """Port of our own Redis; this and every port below: 0 takes any free one."""
    kafka_port: int = Field(9092, ge=0, le=65535)
    """Port of our own Kafka listener."""
    features_port: int = Field(50051, ge=0, le=65535)
    """Port of features."""
    retrieval_port: int = Field(50052, ge=0, le=65535)
    """Port of retrieval."""
    ranker_port: int = Field(50053, ge=0, le=65535)
    """Port of the ranker."""
    reranker_port: int = Field(50054, ge=0, le=65535)
    """Port of the re-ranker."""
    ingest_port: int = Field(50056, ge=0, le=65535)
    """Port of ingest's health check."""
    ingest_metrics_port: int = Field(0, ge=0, le=65535)
    """Port of ingest's metrics, which a rollout reads."""
    trainer: bool = True
    """Whether the trainer runs too: models learn from clicks and are rolled out. Without it the champions stay."""
    trainer_port: int = Field(50055, ge=0, le=65535)
    """Port of the trainer."""
    llm: bool = True
    """Whether the language models run too. Without them explanations come by rule, and a search is read by rule."""
    llm_port: int = Field(50057, ge=0, le=65535)
    """Port of the language models' gRPC."""
    llm_rest_port: int = Field(8001, ge=0, le=65535)
    """Port of the language models' OpenAI-compatible REST."""
    gateway_port: int = Field(8000, ge=0, le=65535)
    """Port of the REST door."""
    start_seconds: float = Field(120.0, gt=0, le=3600)
    """How long everything together may take to become ready."""
    stop_seconds: float = Field(10.0, gt=0, le=300)
    """How long a process may take to end before it is killed."""
