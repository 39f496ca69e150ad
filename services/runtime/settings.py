"""Settings: one class per service, read once at start-up from the environment, refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.errors import SettingsError

S = TypeVar("S", bound="ServiceSettings")


def service_config(name: str) -> SettingsConfigDict:
    """The environment prefix of a service: `ranker` reads CASCADE_RANKER_PORT and so on."""
    return SettingsConfigDict(
        env_prefix=f"CASCADE_{name.upper()}_", extra="forbid", frozen=True, use_attribute_docstrings=True,
        populate_by_name=True,
    )  # fmt: skip


class ServiceSettings(BaseSettings):
    """What every service can be told."""

    model_config = service_config("service")

    data_dir: Path = Field(Path(".data"), validation_alias=AliasChoices("CASCADE_DATA_DIR"))
    """Folder for everything kept on disk."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias=AliasChoices("CASCADE_LOG_LEVEL")
    )
    """Least severe log line that is printed."""
    log_format: Literal["json", "console"] = Field("json", validation_alias=AliasChoices("CASCADE_LOG_FORMAT"))
    """json for machines, console for people."""
    host: str = "127.0.0.1"
    """Address to listen on; loopback unless told otherwise."""
    port: int = Field(0, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    metrics_port: int = Field(0, ge=0, le=65535)
    """Port for Prometheus; 0 switches it off."""
    otlp_url: str = Field("", validation_alias=AliasChoices("CASCADE_OTLP_URL"))
    """Where traces go, an OTLP collector's http://host:4318; empty switches tracing off."""
    trace_share: float = Field(0.1, ge=0, le=1, validation_alias=AliasChoices("CASCADE_TRACE_SHARE"))
    """Share of requests that are traced; a request with a W3C `traceparent` brings its own decision."""
    drain_seconds: float = Field(5.0, ge=0, le=300)
    """How long running calls may finish after a stop signal."""


def read_settings(kind: type[S]) -> S:
    """The settings from the environment, or a SettingsError that names each wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        wrong = [
            f"{_variable(prefix, kind, str(problem['loc'][0]) if problem['loc'] else '?')}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SettingsError("Wrong settings. " + " · ".join(wrong)) from error


def _variable(prefix: str, kind: type[ServiceSettings], location: str) -> str:
    return location.upper() if location.upper().startswith("CASCADE_") else f"{prefix}{location.upper()}"


def host_and_port(url: str, scheme: str, field: str) -> tuple[str, int]:
    """("host", port) of a peer's URL such as grpc://host:50051; SettingsError names the field when it is not one."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != scheme or not parts.hostname or port is None:
        raise SettingsError(f"{field} must look like {scheme}://host:port, not {url!r}.", field=field)
    return parts.hostname, port


def http_url(url: str, field: str) -> str:
    """An http:// or https:// URL without the slash at its end; SettingsError names the field when it is not one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{field} must look like http://host:port, not {url!r}.", field=field)
    return url.rstrip("/")
