"""The smallest value that satisfies a JSON Schema, for an answer that no model gives.

Schemas are read strictly: a keyword that this file does not know is refused, since what it asks for might be missed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from services.runtime.errors import InvalidArgument

MAX_DEPTH = 32
MAX_VALUES = 10_000
"""In all of the instance; characters of strings count as values."""

NOTES = {
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly",
}  # fmt: skip
"""Keywords that ask for nothing."""
ALLOWED = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "null": set(),
}
"""Keywords by the type of value they speak of."""
OBJECT_KEYWORDS = {"properties", "required"}
KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip

Schema = Mapping[str, Any]


def smallest_instance(schema: Schema) -> Any:
    """A value of the schema, an object where its type is left open; InvalidArgument when none can be built by rule."""
    try:
        return _Builder(schema).root()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _refused(f"it is not a JSON Schema ({error})") from error


class _Builder:
    """Walks a schema depth first and counts what it makes."""

    def __init__(self, root: Schema) -> None:
        self._root, self._left = root, MAX_VALUES

    def root(self) -> Any:
        """What is asked of a whole answer."""
        return self.of({"type": "object"} if not set(self._root) - NOTES else self._root, 0)

    def of(self, schema: Schema | bool, depth: int) -> Any:
        """A value of this part."""
        self._count(1)
        if depth > MAX_DEPTH:
            raise _refused(f"it is nested more than {MAX_DEPTH} deep, or without end")
        if schema is True:
            return None
        if schema is False:
            raise _refused("a part of it allows no value")
        for keyword in ("$ref", "anyOf", "const", "enum"):
            if keyword in schema:
                return self._chosen(keyword, schema, depth)
        return self._typed(schema, depth)

    def _chosen(self, keyword: str, schema: Schema, depth: int) -> Any:
        if keyword in ("const", "enum"):
            _only(schema, {keyword, "type"})
            return _fitting([schema["const"]] if keyword == "const" else schema["enum"], schema)
        _only(schema, {keyword})
        if keyword == "$ref":
            return self.of(self._resolved(str(schema["$ref"])), depth + 1)
        return self._first(schema["anyOf"], depth)

    def _first(self, choices: list[Schema], depth: int) -> Any:
        refusal = _refused("it offers no choice")
        for choice in choices:
            try:
                return self.of(choice, depth + 1)
            except InvalidArgument as error:
                refusal = error
        raise refusal

    def _resolved(self, reference: str) -> Schema:
        if not reference.startswith("#"):
            raise _refused(f"{reference} is not a part of it")
        part: Any = self._root
        for name in reference.removeprefix("#").split("/")[1:]:
            part = part[name.replace("~1", "/").replace("~0", "~")]
        found: Schema = part
        return found

    def _typed(self, schema: Schema, depth: int) -> Any:
        kinds = schema.get("type", "object" if OBJECT_KEYWORDS & set(schema) else "null")
        kind = kinds if isinstance(kinds, str) else kinds[0]
        if kind not in ALLOWED:
            raise _refused(f"{kind} is no type")
        # Keywords of the other types of a union do not touch this value, but they must be known.
        _only(schema, {"type"}.union(*(ALLOWED.values() if "type" not in schema else map(_allowed, _listed(kinds)))))
        match kind:
            case "object":
                properties = schema.get("properties", {})
                others = schema.get("additionalProperties", True)
                return {name: self.of(properties.get(name, others), depth + 1) for name in schema.get("required", ())}
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return _number(schema, kind == "integer")
        return False if kind == "boolean" else None

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        count, first = schema.get("minItems", 0), schema.get("prefixItems", ())
        self._count(count)
        if count > schema.get("maxItems", count):
            raise _refused("minItems is above maxItems")
        rest = schema.get("items", True)
        return [self.of(first[place] if place < len(first) else rest, depth + 1) for place in range(count)]

    def _string(self, schema: Schema) -> str:
        length: int = schema.get("minLength", 0)
        self._count(length)
        if length > schema.get("maxLength", length):
            raise _refused("minLength is above maxLength")
        return "-" * length

    def _count(self, values: int) -> None:
        self._left -= max(values, 0)
        if self._left < 0:
            raise _refused(f"it asks for more than {MAX_VALUES} values")


def _number(schema: Schema, whole: bool) -> float:
    """Zero, or the nearest to it that the bounds allow."""
    step = schema.get("multipleOf", 1)
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    nearest = math.ceil(low / step) * step if low > 0 else math.floor(high / step) * step if high < 0 else 0
    candidates: list[float] = [nearest, nearest + step, nearest - step]
    if not whole and "multipleOf" not in schema and math.isfinite(low + high):
        candidates += [low, high, (low + high) / 2]
    for value in candidates:
        if _within(value, schema) and (not whole or value == int(value)):
            return int(value) if value == int(value) else value
    raise _refused("no number is within its bounds")


def _within(value: float, schema: Schema) -> bool:
    step = schema.get("multipleOf")
    return bool(
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value < schema.get("exclusiveMaximum", math.inf)
        and (step is None or value % step == 0)
    )


def _fitting(values: list[Any], schema: Schema) -> Any:
    kinds = _listed(schema["type"]) if "type" in schema else list(KINDS)
    for value in values:
        if any(isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds):
            return value
    raise _refused("none of its values is of its type")


def _listed(kinds: str | list[str]) -> list[str]:
    return [kinds] if isinstance(kinds, str) else kinds


def _allowed(kind: str) -> set[str]:
    return ALLOWED.get(kind, set())


def _only(schema: Schema, known: set[str]) -> None:
    unknown = sorted(set(schema) - NOTES - known)
    if unknown:
        raise _refused(f"{', '.join(unknown)} cannot be satisfied by rule")


def _refused(reason: str) -> InvalidArgument:
    return InvalidArgument(
        f"No model answers, and the schema has no instance that is built by rule: {reason}.", field="response_format"
    )
