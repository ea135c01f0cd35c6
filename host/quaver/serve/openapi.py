"""The API as an OpenAPI 3.1 document, made from the table of endpoints; the schemas are pydantic's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from quaver import __version__
from quaver.serve.endpoints import Endpoint, adapter_of

_REF = "#/components/schemas/{model}"
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_ERRORS = {
    "400": "What was asked is not understood.",
    "401": "Nobody is logged in.",
    "403": "Who is logged in may not do that.",
    "404": "There is no such thing.",
    "503": "The store can't be read now.",
}


def document(endpoints: Sequence[Endpoint], base: str) -> dict[str, Any]:
    """What the endpoints take and answer. base: the path that theirs lie below."""
    wanted: list[tuple[type[Any], JsonSchemaMode]] = []
    for each in endpoints:
        wanted += [(model, "validation") for model in (each.body, each.query) if model]
        wanted += [(each.answer, "serialization")] if each.answer else []
    adapters = [(_key(model), mode, adapter_of(model)) for model, mode in dict.fromkeys(wanted)]
    places, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    schemas = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        operation: dict[str, Any] = {
            "summary": each.summary,
            "operationId": _name(each),
            "parameters": _parameters(each, schemas),
            "responses": {"200": _answer(each, places)} | {code: _said(line, _ERROR) for code, line in _ERRORS.items()},
            "security": []
            if each.open
            else [{kind: [each.scope] if each.scope else []} for kind in ("session", "token")],
        }
        if each.scope:
            operation["description"] = f"Needs the scope `{each.scope}`."
        if each.body:
            schema = places[_key(each.body), "validation"]
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(base + each.path, {})[each.method.lower()] = operation
    used = {model.__name__ for each in endpoints if (model := each.query)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Quaver", "version": __version__, "description": "What a plant's people look at."},
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in used},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "quaver_session"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _key(model: type[Any]) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def _name(endpoint: Endpoint) -> str:
    return "_".join([endpoint.method.lower(), *re.findall(r"\w+", endpoint.path)])


def _parameters(endpoint: Endpoint, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "maxLength": 200}}
        for name in re.findall(r"{(\w+)", endpoint.path)
    ]
    if endpoint.query:
        schema = schemas[endpoint.query.__name__]
        for name, field in schema.get("properties", {}).items():
            found.append({"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field})
    return found


def _answer(endpoint: Endpoint, places: Any) -> dict[str, Any]:
    if endpoint.answer is None:
        return {"description": endpoint.summary, "content": {endpoint.media: {}}}
    return _said(endpoint.summary, places[_key(endpoint.answer), "serialization"])


def _said(line: str, schema: Any) -> dict[str, Any]:
    return {"description": line, "content": {"application/json": {"schema": schema}}}
