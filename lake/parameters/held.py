"""Changes that one machine holds while the lake is away: in force there at once, and brought to the lake when it is back.

Only what stops or lowers is held, so all of them hold together, in any order, over whatever the parameters say. One file each
below `<home>/held`, written once under a name of its own: of two workers that hold something neither takes it from the other.
"""

import secrets
from pathlib import Path

import msgspec

from lake.documents import Document, canonical, sync_folder, write_file
from lake.home import Home
from lake.parameters.changes import raises
from lake.parameters.document import Arm, Content, Parameters, content_of
from lake.parameters.shares import greatest_planned_share

_UNFINISHED = "#"  # how a file is named while it is written


class HeldArm(Document, frozen=True, kw_only=True):
    """What is held of one arm: no more than this share, and not asked at all where it is switched off."""

    share: float | None = None
    switched_off: bool = False


class HeldChange(Document, frozen=True, kw_only=True):
    """A change of version `after_version` that the lake does not have yet: who held it, when, why, and what it lowers.

    It has no version where nobody can read it; then it stops the use case here, and is not brought to the lake.
    """

    use_case: str
    by: str
    at_utc: str
    why: str
    after_version: int | None
    switched_off: bool = False
    arms: dict[str, HeldArm] = msgspec.field(default_factory=dict)
    format_version: int = 1

    def __str__(self) -> str:
        return f"{self.what}, held here by {self.by} at {self.at_utc} until the lake is back: {self.why}"

    @property
    def what(self) -> str:
        """What it lowers, in words."""
        what = [f"arm {name!r} switched off" for name, arm in self.arms.items() if arm.switched_off]
        what += [f"at most {arm.share:.4g} for arm {name!r}" for name, arm in self.arms.items() if arm.share is not None]
        return ", ".join(["switched off", *what] if self.switched_off else what)

    @property
    def concerns(self) -> str | None:
        """The one arm that it switches off, where it does nothing else."""
        [name, *more] = self.arms or {"": HeldArm()}
        alone = not self.switched_off and not more and self.arms.get(name) == HeldArm(switched_off=True)
        return name if alone else None


class TakenBack(msgspec.Struct, frozen=True):
    """How many changes were held, and are no more."""

    taken_back: int


def held_change(before: Parameters, after: Content, by: str, at_utc: str, why: str) -> HeldChange | None:
    """What such a change of a version lowers; None where it does anything else, or nothing. Pure.

    A ramp goes on or ends: one whose beginning is lowered has to be stored.
    """
    if raises(before, after):
        return None
    arms = {}
    for name, new in after.arms.items():
        old = before.arms[name]
        lowered = (new.share, new.ramp) != (old.share, old.ramp)
        if lowered and new.ramp is not None:
            return None
        arm = HeldArm(share=new.share if lowered else None, switched_off=old.active and not new.active)
        if arm != HeldArm():
            arms[name] = arm
    switched_off = before.active and not after.active
    if not arms and not switched_off:
        return None
    return HeldChange(
        use_case=before.use_case,
        by=by,
        at_utc=at_utc,
        why=why,
        after_version=before.version,
        switched_off=switched_off,
        arms=arms,
    )


def lowered_by(before: Content, held: HeldChange) -> Content:
    """What the parameters say once they have what was held; the same where they say it already. Pure."""
    arms = {name: _lowered(arm, held.arms.get(name, HeldArm())) for name, arm in before.arms.items()}
    return msgspec.structs.replace(content_of(before), arms=arms, active=before.active and not held.switched_off)


def hold(home: Home, change: HeldChange) -> None:
    """Hold it, from now on and over restarts. Raises OSError."""
    write_file(home.held / f"{change.use_case}.{secrets.token_hex(8)}.json", canonical(change))


def read_held(home: Home) -> dict[Path, HeldChange]:
    """All that is held here, by its file. Raises OSError where that cannot be told."""
    try:
        paths = sorted(path for path in home.held.iterdir() if _UNFINISHED not in path.name)
    except FileNotFoundError:
        return {}
    found = {path: _read(path) for path in paths}
    return {path: one for path, one in found.items() if one is not None}


def let_go(path: Path) -> None:
    """Hold it no more. Safe to run twice."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _lowered(arm: Arm, held: HeldArm) -> Arm:
    if held.share is not None and greatest_planned_share(arm) > held.share:
        arm = msgspec.structs.replace(arm, share=min(arm.share, held.share), ramp=None)
    return msgspec.structs.replace(arm, active=arm.active and not held.switched_off)


def _read(path: Path) -> HeldChange | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=HeldChange)
    except FileNotFoundError:  # it was brought to the lake in this moment
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        use_case = path.name.partition(".")[0]
        why = f"what is held in {path} cannot be read"
        return HeldChange(use_case=use_case, by="unknown", at_utc="unknown", why=why, after_version=None, switched_off=True)
