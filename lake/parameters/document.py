"""The document of parameters: what an operator can change at run time, one for each use case.

`Content` is what an operator writes. `Parameters` is that with what the platform adds: number, who, when, why, the keys that
were handed out, and the signatures where it needed any.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lake.documents import StrictDocument
from lake.parameters.rules import Rule
from lake.release.policy import Moment

# Keys of requests are hashed to so many places; a share is a number of places.
PLACES = 1_000_000
LONGEST_WHY = 1000

# Spans of places, half-open, in the order in which they were handed out: a smaller share keeps the first of them.
Spans = tuple[tuple[int, int], ...]


class Guardrails(StrictDocument, frozen=True, kw_only=True):
    """What stops a ramp: seen over the last `window_s` seconds of an arm, once it had `fewest_requests`.

    `error_rate` and `p99_s` (seconds, the predictor's time) may be reached and not passed; None asks for nothing.
    `circuit_open` counts at once.
    """

    error_rate: float | None = 0.02
    p99_s: float | None = None
    circuit_open: bool = True
    fewest_requests: int = 50
    window_s: float = 60.0


class Step(StrictDocument, frozen=True, kw_only=True):
    """From this moment the arm has this share."""

    at_utc: Moment
    share: float


class Ramp(StrictDocument, frozen=True, kw_only=True):
    """A share that rises in steps. A guardrail ends it, and the arm's share is then `falls_to`."""

    steps: tuple[Step, ...]
    guardrails: Guardrails = Guardrails()
    falls_to: float = 0.0


class Shadow(StrictDocument, frozen=True, kw_only=True):
    """Which part of the requests is mirrored to an arm that a release made a shadow, and how many at once at most."""

    sample: float = 1.0
    most_at_once: int = 8


class Arm(StrictDocument, frozen=True, kw_only=True):
    """How one arm is reached, and its share of the requests (0 to 1; the champion has what is left).

    An arm that is not active is never called. `ramp` raises the share by time. `beyond_release` is the number of the
    release whose greatest share may be exceeded, by an approver's signature.
    """

    upstreams: tuple[str, ...] = ()
    share: float = 0.0
    active: bool = True
    ramp: Ramp | None = None
    shadow: Shadow = Shadow()
    beyond_release: int | None = None


class Retries(StrictDocument, frozen=True, kw_only=True):
    """How many second tries there may be: `share` of the requests, and `per_second` beside that."""

    share: float = 0.2
    per_second: float = 10.0


class Breaker(StrictDocument, frozen=True, kw_only=True):
    """After so many failures in a row a replica is left alone for `open_s` seconds, then probed by one request.

    After each probe that fails it is left alone for twice as long, up to ten seconds.
    """

    failures: int = 5
    open_s: float = 0.5


class RateLimit(StrictDocument, frozen=True, kw_only=True):
    """How many requests each client may send: `per_second` on average, `burst` at once."""

    per_second: float
    burst: int


class Fixed(StrictDocument, frozen=True, kw_only=True):
    """The scores that every row is answered with while the use case is not active; the answer says so."""

    scores: tuple[float, ...]


class Content(StrictDocument, frozen=True, kw_only=True):
    """What an operator decides for one use case.

    `sticky` says whether a client's key meets one arm, or each request for itself. `threshold` is the score from which the
    decision is yes; without it answers carry none. `fallback_arm` answers where the champion's arm cannot.
    """

    active: bool = True
    inactive_answer: Fixed | None = None
    arms: dict[str, Arm] = msgspec.field(default_factory=dict)
    salt: str = "1"
    sticky: Literal["key", "request"] = "key"
    timeout_s: float = 2.0
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    fallback_arm: str | None = None
    rate_limit: RateLimit | None = None
    threshold: float | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def changes_answers(self) -> bool:
        """Whether an answer may be another than the model's."""
        return bool(self.rules) or self.threshold is not None


class Change(Content, frozen=True, kw_only=True):
    """What an operator hands in: the content, why, and the lines of `trainserve parameters sign` where it needs any."""

    why: Annotated[str, Meta(min_length=1, max_length=LONGEST_WHY, pattern=r"\S")]
    signatures: tuple[str, ...] = ()


class Parameters(Content, frozen=True, kw_only=True):
    """One version of the parameters of one use case.

    `keys` are the places that were handed out to each challenger. `proposal` is the envelope that approvers signed.
    """

    use_case: str
    version: int = 0
    changed_by: str = "environment"
    changed_at_utc: str | None = None
    why: str = ""
    keys: dict[str, Spans] = msgspec.field(default_factory=dict)
    proposal: dict[str, object] | None = None
    format_version: int = 1


def content_of(document: Content) -> Content:
    """What an operator decided in it, without all else."""
    return Content(**{name: getattr(document, name) for name in Content.__struct_fields__})


def change_of(content: Content, why: str, signatures: tuple[str, ...] = ()) -> Change:
    """The content as it is handed in."""
    decided = {name: getattr(content, name) for name in Content.__struct_fields__}
    return Change(why=why, signatures=signatures, **decided)
