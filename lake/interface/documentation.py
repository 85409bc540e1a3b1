"""The API pages, which work without a network, with request bodies and examples from the live input schemas."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import swagger_ui_bundle
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.static_files import create_static_files_router

from lake.decoder import MAXIMUM_ROWS
from lake.input_schema import InputSchema
from lake.interface.problems import MEDIA_TYPE, ProblemDocument
from lake.interface.request_bodies import with_bodies

ASSETS_PATH = "/schema/assets"

Schemas = Callable[[], Iterable[InputSchema]]


def answer(body: type[Any], description: str) -> ResponseSpec:
    """A documented JSON answer, without the random examples that Litestar would make up."""
    return ResponseSpec(body, description=description, generate_examples=False)


def problem(description: str) -> ResponseSpec:
    """A documented refusal."""
    return ResponseSpec(ProblemDocument, description=description, media_type=MEDIA_TYPE, generate_examples=False)


def api_documentation(
    title: str, version: str, description: str, schemas: Schemas, maximum_rows: int = MAXIMUM_ROWS
) -> OpenAPIConfig:
    """The OpenAPI document at `/schema/openapi.json` and its page at `/schema`."""
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        path="/schema",
        use_handler_docstrings=True,
        render_plugins=[_Json(schemas, maximum_rows), _Page(schemas, maximum_rows)],
    )


def documentation_assets() -> Router:
    """The page's script and style, from the installed package."""
    return create_static_files_router(
        path=ASSETS_PATH, directories=[Path(swagger_ui_bundle.swagger_ui_path)], include_in_schema=False
    )


class _Json(JsonRenderPlugin):
    def __init__(self, schemas: Schemas, maximum_rows: int) -> None:
        super().__init__()
        self._schemas = schemas
        self._maximum_rows = maximum_rows

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, with_bodies(openapi_schema, list(self._schemas()), self._maximum_rows))


class _Page(SwaggerRenderPlugin):
    def __init__(self, schemas: Schemas, maximum_rows: int) -> None:
        super().__init__(
            js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
            css_url=f"{ASSETS_PATH}/swagger-ui.css",
            standalone_preset_js_url=f"{ASSETS_PATH}/swagger-ui-standalone-preset.js",
            favicon=f'<link rel="icon" type="image/png" href="{ASSETS_PATH}/favicon-32x32.png">',
            path=["/", "/swagger"],
        )
        self._schemas = schemas
        self._maximum_rows = maximum_rows

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, with_bodies(openapi_schema, list(self._schemas()), self._maximum_rows))
