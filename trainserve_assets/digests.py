"""The digest of a frame's content: equal rows in equal order have equal digests, whatever made them."""

import hashlib
from io import BytesIO

import polars as pl

from lake.documents import canonical


def content_digest(frame: pl.DataFrame) -> str:
    """SHA-256, in hex, over the column names and types and the rows as text; nested columns are not taken.

    Text is quoted and null is not, numbers are spelled so that they read back as the same bits.
    """
    digest = hashlib.sha256(canonical({name: str(dtype) for name, dtype in frame.schema.items()}))
    digest.update(canonical(frame.columns))
    rows = BytesIO()
    frame.write_csv(rows, quote_style="non_numeric", null_value="null")
    digest.update(rows.getbuffer())
    return digest.hexdigest()
