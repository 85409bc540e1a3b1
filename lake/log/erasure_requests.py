"""Erasures that were asked for: one document for each entity, by which what arrives later is erased too.

Rows may still be on their way, in the spool of another machine; so an erasure holds for all that was received up to its
moment, whenever it is shipped. The document names the entity by keyed hashes alone, which lead nowhere without the privacy
key, and is signed by the key of a log: whoever can only write to the lake can have nothing erased.
"""

from collections.abc import Iterator

import msgspec

from lake.documents import Document, DocumentStore, canonical, decoded, sha256
from lake.errors import VerificationError
from lake.log.log_key import LogKey, LogKeys, is_signed

_FOLDER = "erasure_requests"
_SIGNED_FOR = b"trainserve erasure request\n"
_ID_LENGTH = 32


class ErasureRequest(Document, frozen=True, kw_only=True, omit_defaults=True):
    """An entity of which nothing may stay that was received up to a moment, who asked so, and why.

    `value_hashes` has the hash of each field of the entity's key. It is `finished` when all was erased that was there.
    Defaults are left out: a later field with one leaves the signatures of older documents as they are.
    """

    use_case: str
    entity_key_hash: str
    value_hashes: dict[str, str | None]
    until_us: int
    asked_by: str
    why: str
    finished: bool = False
    key_id: str = ""
    signature: bytes = b""
    format_version: int = 1

    @property
    def erasure_id(self) -> str:
        """How audit rows name the entity: a digest of its hash."""
        return sha256(f"{self.use_case}\x1f{self.entity_key_hash}".encode())[:_ID_LENGTH]

    @property
    def path(self) -> str:
        """Where the document stands."""
        return f"{self.use_case}/{_FOLDER}/{self.erasure_id}.json"


def publish_request(store: DocumentStore, request: ErasureRequest, key: LogKey) -> ErasureRequest:
    """Store it, signed, in the place of an earlier one about the same entity. Safe to run twice."""
    named = msgspec.structs.replace(request, key_id=key.id, signature=b"")
    signed = msgspec.structs.replace(named, signature=key.sign(_SIGNED_FOR + canonical(named)))
    store.put(signed.path, canonical(signed))
    return signed


class Asked(msgspec.Struct, frozen=True):
    """The erasures that were asked for, and what is wrong with documents that ask for none."""

    requests: list[ErasureRequest]
    problems: list[VerificationError]


def read_requests(store: DocumentStore, use_case: str, keys: LogKeys) -> Asked:
    """All that was asked for in a use case. A document that no trusted key signed asks for nothing, and is a problem."""
    asked = Asked([], [])
    for name in store.names(f"{use_case}/{_FOLDER}"):
        path = f"{use_case}/{_FOLDER}/{name}"
        try:
            asked.requests.append(_checked(store.get(path), path, keys))
        except VerificationError as error:
            asked.problems.append(error)
    return asked


def _checked(data: bytes, path: str, keys: LogKeys) -> ErasureRequest:
    request = decoded(data, path, ErasureRequest)
    for problem in _problems(request, path, keys):
        raise VerificationError(path, *problem)
    return request


def _problems(request: ErasureRequest, path: str, keys: LogKeys) -> Iterator[tuple[str, str]]:
    public = keys.get(request.key_id)
    if request.path != path:
        yield "a request about another entity", f"the one that {request.path} is for"
    if public is None:
        found = f"one of the {len(keys)} trusted: copy keys/trusted_log/{request.key_id}.pub from the machine that erased"
        yield f"the key {request.key_id}", found
    elif not is_signed(public, _SIGNED_FOR + canonical(msgspec.structs.replace(request, signature=b"")), request.signature):
        yield "a signature over something else", f"one by the key {request.key_id} over it"
