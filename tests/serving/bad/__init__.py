"""A corpus of bad requests: what is sent, and the status and the words that it is refused with."""

from tests.serving.bad.binary import BINARY
from tests.serving.bad.bodies import BODIES
from tests.serving.bad.tensors import TENSORS
from tests.serving.bad.values import VALUES

BAD_REQUESTS = [*BODIES, *VALUES, *TENSORS, *BINARY]
