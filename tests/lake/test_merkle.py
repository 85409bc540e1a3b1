"""The tree is that of RFC 6962, bit for bit, and a path proves just the leaf that it was made for."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import VerificationError
from lake.log.merkle import leaf_of, path_of, root_by, root_of

# The vectors of Certificate Transparency's own tests: eight leaves, and the root over the first one, two, three, ...
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("count", range(1, 9))
def test_the_roots_are_those_of_the_standard(count: int) -> None:
    leaves = [leaf_of(bytes.fromhex(data)) for data in LEAVES[:count]]

    assert root_of(leaves).hex() == ROOTS[count - 1]


def test_the_root_of_nothing_is_the_digest_of_nothing() -> None:
    assert root_of([]) == sha256(b"").digest()


@given(st.integers(1, 70), st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_no_other_place(count: int, data: st.DataObject) -> None:
    leaves = [leaf_of(str(number).encode()) for number in range(count)]
    index = data.draw(st.integers(0, count - 1))
    path = path_of(leaves, index)

    assert root_by(leaves[index], index, count, path) == root_of(leaves)
    assert len(path) <= (count - 1).bit_length()
    assert root_by(leaf_of(b"another"), index, count, path) != root_of(leaves)
    for other in {*range(count)} - {index}:
        try:
            assert root_by(leaves[index], other, count, path) != root_of(leaves)
        except VerificationError:
            continue  # a leaf there has a path of another length


@pytest.mark.parametrize(("index", "length"), [(0, 2), (0, 4), (4, 0), (4, 2)])
def test_a_path_that_no_tree_has_is_refused(index: int, length: int) -> None:
    with pytest.raises(VerificationError, match=f"{length} digests, expected the digests beside leaf {index} of 5"):
        root_by(leaf_of(b"x"), index, 5, [leaf_of(b"y")] * length)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_leaf_that_no_tree_has_is_refused(index: int) -> None:
    with pytest.raises(VerificationError, match=f"a leaf at {index}, expected one of 5"):
        root_by(leaf_of(b"x"), index, 5, [])
