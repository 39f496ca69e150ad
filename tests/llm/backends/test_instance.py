"""The smallest instance of a schema, judged by a validator."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.backends.instance import smallest_instance
from services.runtime.errors import InvalidArgument

bounds = st.integers(-50, 50)
leaves = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": st.integers(0, 5), "maxLength": st.integers(5, 9)}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": bounds, "maximum": bounds, "exclusiveMinimum": bounds, "multipleOf": st.integers(1, 9)},
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", "array", "object", ["null", "string"]])}),
    st.fixed_dictionaries({"enum": st.lists(st.one_of(st.text(), bounds, st.booleans(), st.none()), min_size=1)}),
    st.fixed_dictionaries({"const": st.one_of(st.text(), bounds, st.booleans())}),
)


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from("abc"), children, min_size=1)
    return st.one_of(
        properties.map(
            lambda p: {"type": "object", "properties": p, "required": sorted(p), "additionalProperties": False}
        ),
        properties.map(lambda p: {"type": "object", "properties": p, "required": [*sorted(p)[:1], "extra"]}),
        st.fixed_dictionaries({"type": st.just("array"), "items": children, "minItems": st.integers(0, 3)}),
        st.fixed_dictionaries({"anyOf": st.lists(children, min_size=1, max_size=3)}),
    )


@given(st.recursive(leaves, nested, max_leaves=8))
def test_an_instance_is_always_valid(schema: dict[str, Any]) -> None:
    try:
        instance = smallest_instance(schema)
    except InvalidArgument:
        return
    jsonschema.validate(instance, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        ({}, {}),
        ({"title": "Anything"}, {}),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "integer", "maximum": -7, "multipleOf": 5}, -10),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, 0.5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "string", "enum": [1, "x"]}, "x"),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "minItems": 2}, [1, None]),
        ({"$ref": "#/$defs/film", "$defs": {"film": {"enum": ["Heat"], "title": "Film"}}}, "Heat"),
        ({"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]}, None),
    ],
)
def test_the_smallest_instance_is_taken(schema: dict[str, Any], instance: object) -> None:
    assert smallest_instance(schema) == instance


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a+$"},
        {"type": "string", "format": "date"},
        {"not": {}},
        {"oneOf": [{"type": "null"}]},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "multipleOf": 0},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "minItems": 10**9},
        {"type": "film"},
        {"type": 5},
        {"$ref": "#"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/none"},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "object", "required": 3},
        {"enum": []},
        {"anyOf": []},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    ],
)
def test_what_no_rule_satisfies_is_refused_with_its_field(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        smallest_instance(schema)
    assert caught.value.field == "response_format"
