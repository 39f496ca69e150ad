"""The sentence encoder as services load it."""

from __future__ import annotations

from models.sentence_encoder import EncoderMissing, SentenceEncoder
from services.runtime.errors import SettingsError


def load_encoder() -> SentenceEncoder:
    """The encoder of the installed wheels; SettingsError telling what to install."""
    try:
        return SentenceEncoder.load()
    except EncoderMissing as error:
        raise SettingsError(str(error)) from error
