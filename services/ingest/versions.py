"""Schema versions: a record says in its header `schema` how it is written, and older ways are made into today's.

To change a message so that old bytes no longer mean the same: raise SCHEMA_VERSION in services.runtime.eventlog, and
add the version that was to UPCASTERS with the function that rewrites its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.runtime.eventlog import SCHEMA_VERSION

SCHEMA = "schema"
"""Name of the header."""

Upcaster = Callable[[str, bytes], bytes]
"""(topic, value of an older version) -> what SCHEMA_VERSION would have written; a ValueError when it cannot."""


class UnknownVersion(ValueError):
    """Nothing is known of a record's version; the message is a sentence."""


def _as_it_is(topic: str, value: bytes) -> bytes:
    return value


UPCASTERS: dict[bytes, Upcaster] = {SCHEMA_VERSION: _as_it_is}
"""Version -> how its records become current ones; what is not here becomes a dead letter."""


def version_of(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """What the header says; UnknownVersion when it is missing, there twice, or names a version that is not read."""
    versions = [content for name, content in headers if name == SCHEMA]
    if len(versions) != 1 or versions[0] not in UPCASTERS:
        known = " or ".join(sorted(version.decode() for version in UPCASTERS))
        raise UnknownVersion(f"The header schema must be {known}, not {versions!r}.")
    return versions[0]


def current(topic: str, headers: Sequence[tuple[str, bytes]], value: bytes) -> bytes:
    """The value as the current version writes it; a ValueError says why that cannot be."""
    return UPCASTERS[version_of(headers)](topic, value)
