"""The page: what a plant's people look at, and the JSON API under it."""

from quaver.errors import PageError

try:
    import starlette  # noqa: F401  all of this room rests on both
    import uvicorn  # noqa: F401
except ImportError as error:
    raise PageError("the page needs starlette and uvicorn: pip install 'quaver[page]'") from error
