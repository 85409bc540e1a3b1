"""The evidence about candidates: what was measured, compared and tried on one holdout, as evaluation documents."""

from trainserve_assets.evidence.judged import Judged, judge

__all__ = ["Judged", "judge"]
