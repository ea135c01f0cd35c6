"""The lake: what a store holds as Parquet files by site and day, for those who analyse it."""

from quaver.errors import LakeError

try:
    import pyarrow  # noqa: F401  all of this room rests on it
except ImportError as error:
    raise LakeError("Parquet needs pyarrow: pip install 'quaver[parquet]'") from error
