"""What stands as the rule of a row that no rule of the parameters answered: how its request was routed, or why it was not.

The proxy writes these words, and who reads the log goes by them, so no rule may have one as its name.
"""

CHAMPION, SHARE, FALLBACK = "champion", "share", "fallback"
INACTIVE, STOPPED, RATE_LIMIT = "inactive", "stopped", "rate_limit"

RANDOMISED = (CHAMPION, SHARE)  # by the key of the request
NOT_ASKED = (INACTIVE, STOPPED)
RESERVED = (*RANDOMISED, FALLBACK, *NOT_ASKED, RATE_LIMIT)
