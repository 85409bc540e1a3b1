"""Which requests are mirrored to a shadow: decided by hash, so that who counts its answers later knows which it was asked."""

import xxhash

_RANGE = 2**64


def is_mirrored(sample: float, arm: str, request_id: str) -> bool:
    """Whether this request is one of the part that the shadow is asked about."""
    return sample >= 1 or xxhash.xxh3_64_intdigest(f"{arm}:{request_id}".encode()) / _RANGE < sample
