"""Where load tests find the API keys; unlike the gateway they never make new ones, which nobody would accept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from services.gateway.keys import KEYS_FILE, READ_KEY, WRITE_KEY, ApiKeys
from services.runtime.errors import SettingsError

KEYS_FILE_VARIABLE = "CASCADE_KEYS_FILE"


def found_keys(environment: Mapping[str, str] | None = None) -> ApiKeys:
    """From CASCADE_READ_KEY and CASCADE_WRITE_KEY, else from the file CASCADE_KEYS_FILE, else from api-keys.env in
    CASCADE_DATA_DIR. SettingsError when a key is nowhere.
    """
    environment = os.environ if environment is None else environment
    told = environment.get(KEYS_FILE_VARIABLE)
    path = Path(told) if told else Path(environment.get("CASCADE_DATA_DIR", ".data")) / KEYS_FILE
    kept = dotenv_values(path) if path.is_file() and os.access(path, os.R_OK) else {}
    read, write = (environment.get(name) or kept.get(name) for name in (READ_KEY, WRITE_KEY))
    if not read or not write:
        raise SettingsError(
            f"No API keys: set {READ_KEY} and {WRITE_KEY}, or {KEYS_FILE_VARIABLE} to the gateway's {KEYS_FILE}; "
            f"{path} has none."
        )
    return ApiKeys(read, write)
