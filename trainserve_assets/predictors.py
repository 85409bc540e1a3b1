"""What each predictor really serves: asked over HTTP, since nothing else can know."""

import os
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import msgspec
from pydantic import Field
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import RequestError

from checks.liveness import Served
from lake.errors import SettingError
from lake.interface.messages import ModelMetadata

ADDRESSES = "TRAINSERVE_PREDICTORS"
_OK = 200


class _Problem(msgspec.Struct):
    """The part of a problem document (RFC 9457) that is for people."""

    detail: str = ""


class Predictors(dg.ConfigurableResource[None]):
    """The predictors that are watched. None is started or stopped from here."""

    addresses: str = Field(
        default="", description="use_case/arm=http://host:port, separated by commas; empty: TRAINSERVE_PREDICTORS"
    )
    timeout_s: float = Field(default=2.0, description="How long one predictor may take to answer, in seconds")

    def served(self, use_case: str) -> list[Served]:
        """What the predictors of a use case say they serve; one that cannot be reached serves nothing. Raises SettingError."""
        with SyncClientBuilder().no_proxy().timeout(timedelta(seconds=self.timeout_s)).build() as client:
            return [_ask(client, use_case, arm, url) for arm, url in self._of(use_case)]

    def _of(self, use_case: str) -> Iterator[tuple[str, str]]:
        """Arm and address of each predictor."""
        addresses = self.addresses or os.environ.get(ADDRESSES, "")
        for entry in filter(None, (entry.strip() for entry in addresses.split(","))):
            key, equals, url = entry.partition("=")
            name, slash, arm = key.partition("/")
            if not (equals and slash and name and arm and url.startswith(("http://", "https://"))):
                raise SettingError(ADDRESSES, entry, "use_case/arm=http://host:port")
            if name == use_case:
                yield arm, url.rstrip("/")


def _ask(client: SyncClient, use_case: str, arm: str, url: str) -> Served:
    try:
        response = client.get(f"{url}/models/{use_case}").build().send()
        body = bytes(response.bytes())
        if response.status != _OK:
            detail = msgspec.json.decode(body, type=_Problem).detail
            return Served(arm=arm, url=url, problem=detail or f"status {response.status}")
        model = msgspec.json.decode(body, type=ModelMetadata)
    except (RequestError, msgspec.MsgspecError) as error:
        return Served(arm=arm, url=url, problem=f"no answer that can be read: {error}")
    return Served(
        arm=arm,
        url=url,
        served_arm=model.arm,
        package_digest=model.package_digest,
        release_seq=model.release_seq,
        model_version=model.model_version,
        approver=model.approver,
    )
