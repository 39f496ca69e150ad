"""MLflow's client: over the SQLite file in a data folder or over a server, with its failures as errors of the tree.

MLflow is imported when it is asked for: it costs a second and 100 MB, which services without models need not pay.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.runtime.errors import NotFound, SettingsError, Unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

DATABASE = "mlflow.db"
SERVER_SECONDS = 5
"""How long an MLflow server may take to answer."""


def over_server(url: str) -> MlflowClient:
    """The client of an MLflow server. Unavailable when it does not answer."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SERVER_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    try:
        client.search_registered_models(max_results=1)
    except MlflowException as error:
        raise Unavailable(f"The model registry at {url} does not answer: {error.message}") from error
    return client


def over_file(data_dir: Path) -> MlflowClient:
    """The client over the SQLite file of a data folder, made when it is not there. SettingsError when it is damaged."""
    # These two come with the whole of MLflow; who asks a server needs only its client.
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    data_dir.mkdir(parents=True, exist_ok=True)
    address = f"sqlite:///{data_dir / DATABASE}"
    try:
        return MlflowClient(tracking_uri=address, registry_uri=address)
    except MlflowException as error:
        raise Unavailable(f"The model registry at {address} cannot be opened: {error.message}") from error
    except (SQLAlchemyError, CommandError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise SettingsError(
            f"The model registry {address} is damaged ({reason}). Restore it, or remove it and train again."
        ) from error


@contextmanager
def answering() -> Iterator[None]:
    """Failures of MLflow within the block as errors of the tree: NotFound, or Unavailable."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise NotFound(f"The registry says: {error.message}", field="model") from error
        raise away(error) from error


def away(error: MlflowException) -> Unavailable:
    """A registry that cannot be asked, in a sentence that is the same text each time."""
    # The cause that requests appends names an object by its address.
    return Unavailable(f"The model registry cannot be asked: {str(error.message).partition(' (Caused by ')[0]}")
