"""What the proxy does about predictors that fail: the settings of one use case, as its parameters state them."""

import msgspec

from lake.parameters import Parameters


class Resilience(msgspec.Struct, frozen=True, kw_only=True):
    """How long, how often and where else a request is tried.

    `timeout_s` bounds a request as a whole, over all attempts and arms. A retry needs a token of its arm: each request
    brings `retry_share` of one, each second `retries_per_s`. A replica that failed `breaker_failures` times in a row is
    left alone for `breaker_open_s`, and after each failed probe for twice as long, up to `breaker_longest_s`.
    """

    timeout_s: float = 2.0
    attempts: int = 2
    retry_share: float = 0.2
    retries_per_s: float = 10.0
    breaker_failures: int = 5
    breaker_open_s: float = 0.5
    breaker_longest_s: float = 10.0


def resilience_of(parameters: Parameters) -> Resilience:
    """What these parameters state."""
    retries, breaker = parameters.retries, parameters.breaker
    return Resilience(
        timeout_s=parameters.timeout_s,
        retry_share=retries.share,
        retries_per_s=retries.per_second,
        breaker_failures=breaker.failures,
        breaker_open_s=breaker.open_s,
    )
