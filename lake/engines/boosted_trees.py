"""Gradient boosting of scikit-learn (`HistGradientBoosting...`) as a LightGBM text, which says the same trees.

Both go left where a number is not above a threshold, both keep a bit for each category, both say for each split where
nulls go, and both add up the leaves in the order of the trees. The starting value is written as trees of one leaf, so that
the sums begin as scikit-learn's do. Format: `GBDT::SaveModelToString` of LightGBM, version v4.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lake.engines import Untranslatable

if TYPE_CHECKING:
    from lake.package import Manifest

# Categories have the codes 0 to 254. LightGBM sends a null category to the right; where it is to go left needs a code.
MISSING_CODE = 255
_BITSET_WORDS, _WORD_BITS = 8, 32
_GREATEST = float(np.finfo(np.float64).max)  # no number is above it, as none is above infinity

_CATEGORY, _NULLS_GO_LEFT, _NULL_IS_NAN = 1, 2, 2 << 2  # the bits of a decision_type
_LINKS = {"binary": "LogitLink", "multiclass": "MultinomialLogit", "regression": "IdentityLink"}


def lightgbm_text(model: Any, manifest: "Manifest") -> str:
    """The text, over a matrix in the order of the manifest's features. Raises Untranslatable for any other model."""
    if not is_boosted(model):
        raise Untranslatable(f"a {type(model).__name__} has no trees that it reads")
    link = type(model._loss.link).__name__
    if link != _LINKS[manifest.task]:
        raise Untranslatable(f"a model with the link {link} has sums that it knows no scores of")
    columns = _Columns(model)
    sums = model.n_trees_per_iteration_
    texts = [_text(number, [float(start)]) for number, start in enumerate(np.ravel(model._baseline_prediction))]
    for predictor in chain.from_iterable(model._predictors):
        tree = _Tree(predictor.nodes, predictor.raw_left_cat_bitsets, columns)
        texts.append(_text(len(texts), tree.leaf_values, tree))
    head = [
        "tree",
        "version=v4",
        f"num_class={sums}",
        f"num_tree_per_iteration={sums}",
        "label_index=0",
        f"max_feature_idx={len(manifest.features) - 1}",
        "objective=custom",
        f"feature_names={' '.join(f'f{position}' for position in range(len(manifest.features)))}",
        f"feature_infos={' '.join('none' for _ in manifest.features)}",
        f"tree_sizes={' '.join(str(len(text)) for text in texts)}",
        "",
        "",
    ]
    return "\n".join(head) + "".join(texts) + "end of trees\n"


def is_boosted(model: Any) -> bool:
    """Whether it is one of scikit-learn's models of histogram-based gradient boosting."""
    return type(model).__name__ in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def split_borders(model: Any) -> dict[int, list[float]]:
    """The thresholds of a model, by the position of the number in the matrix that it takes."""
    columns = _Columns(model)
    found: dict[int, set[float]] = {}
    for predictor in chain.from_iterable(model._predictors):
        for node in predictor.nodes:
            if not node["is_leaf"] and not node["is_categorical"]:
                found.setdefault(columns.position(node["feature_idx"]), set()).add(float(node["num_threshold"]))
    return {position: sorted(borders) for position, borders in found.items()}


class _Columns:
    """Where a model's features stand in the matrix that it takes: it works on another, with all categories first."""

    def __init__(self, model: Any) -> None:
        self._positions: list[int] = list(range(model.n_features_in_))
        self._codes: list[Sequence[float]] = []
        if model._preprocessor is not None:
            categorical = model.is_categorical_
            self._positions = [*np.flatnonzero(categorical).tolist(), *np.flatnonzero(~categorical).tolist()]
            self._codes = model._preprocessor.named_transformers_["encoder"].categories_

    def position(self, feature: int) -> int:
        """The column of a feature."""
        return self._positions[feature]

    def bits(self, feature: int, goes_left: Sequence[int], *, nulls_go_left: bool) -> list[int]:
        """The codes that go left as words of bits, from codes that the model's own encoder gave."""
        words = [0] * _BITSET_WORDS

        def send_left(code: int) -> None:
            words[code // _WORD_BITS] |= 1 << code % _WORD_BITS

        known = {ordinal: int(code) for ordinal, code in enumerate(self._codes[feature]) if not np.isnan(code)}
        for ordinal, code in known.items():
            if int(goes_left[ordinal // _WORD_BITS]) >> ordinal % _WORD_BITS & 1:
                send_left(code)
        if nulls_go_left:
            for code in set(range(MISSING_CODE + 1)) - set(known.values()):
                send_left(code)
        return words


class _Split(NamedTuple):
    """An inner node; a child below zero is a leaf."""

    feature: int
    threshold: str
    decision: int
    left: int
    right: int


class _Tree:
    """One tree as LightGBM numbers it: its inner nodes and its leaves apart."""

    def __init__(self, nodes: Any, bitsets: Any, columns: _Columns) -> None:
        inner = [number for number, node in enumerate(nodes) if not node["is_leaf"]]
        leaves = [number for number, node in enumerate(nodes) if node["is_leaf"]]
        self._places = {number: place for place, number in enumerate(inner)}
        self._places |= {number: ~place for place, number in enumerate(leaves)}
        self.leaf_values = [float(nodes[number]["value"]) for number in leaves]
        self.words: list[int] = []
        self.boundaries = [0]
        self.splits = [self._split(nodes[number], bitsets, columns) for number in inner]

    def _split(self, node: Any, bitsets: Any, columns: _Columns) -> _Split:
        nulls_go_left = bool(node["missing_go_to_left"])
        feature = int(node["feature_idx"])
        if node["is_categorical"]:
            self.words += columns.bits(feature, bitsets[node["bitset_idx"]], nulls_go_left=nulls_go_left)
            self.boundaries.append(len(self.words))
            threshold, decision = str(len(self.boundaries) - 2), _CATEGORY
        else:
            threshold = repr(min(float(node["num_threshold"]), _GREATEST))
            decision = _NULL_IS_NAN | (_NULLS_GO_LEFT if nulls_go_left else 0)
        left, right = self._places[int(node["left"])], self._places[int(node["right"])]
        return _Split(columns.position(feature), threshold, decision, left, right)


def _text(number: int, leaf_values: Sequence[float], tree: _Tree | None = None) -> str:
    """A tree, or one leaf without any split."""
    splits = tree.splits if tree else []
    lines = [
        f"Tree={number}",
        f"num_leaves={len(leaf_values)}",
        f"num_cat={len(tree.boundaries) - 1 if tree else 0}",
        f"split_feature={_words(split.feature for split in splits)}",
        f"threshold={_words(split.threshold for split in splits)}",
        f"decision_type={_words(split.decision for split in splits)}",
        f"left_child={_words(split.left for split in splits)}",
        f"right_child={_words(split.right for split in splits)}",
        f"leaf_value={_words(map(repr, leaf_values))}",
    ]
    if tree and tree.words:
        lines += [f"cat_boundaries={_words(tree.boundaries)}", f"cat_threshold={_words(tree.words)}"]
    return "\n".join([*lines, "is_linear=0", "shrinkage=1", "", ""])


def _words(values: Iterable[object]) -> str:
    return " ".join(map(str, values))
