"""The names and bundles of C2SP tlog-tiles."""

import pytest

from ledger.tiles import LayoutError, TilePath, bundle_paths, decode_bundle, encode_bundle, parse_path, tree_paths


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(level=0, index=1234067, width=8), "tile/0/x001/x234/067.p/8"),
        (TilePath(level=None, index=0), "tile/entries/000"),
        (TilePath(level=1, index=1000), "tile/1/x001/000"),
    ],
)
def test_a_path_is_written_as_the_specification_writes_it_and_read_back(path, text):
    assert path.text() == text
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["tile/0/0", "tile/0/x000/001", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/08", "tile/64/000",
     "tile/00/000", "tile/0/../000", "tile/entries/000/", "tile/0/\u0660\u0660\u0660", "tile/0/" + "x001/" * 20 + "000"],
)  # fmt: skip
def test_a_path_written_any_other_way_is_refused(text):
    with pytest.raises(LayoutError):
        parse_path(text)


def test_a_tree_names_all_its_tiles_and_bundles():
    assert [path.text() for path in tree_paths(70_000)][-3:] == ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert [path.text() for path in bundle_paths(257)] == ["tile/entries/000", "tile/entries/001.p/1"]


def test_a_bundle_gives_back_its_entries_and_a_cut_one_is_refused():
    bodies = [b"", b"a", b"x" * 65535]
    assert decode_bundle(encode_bundle(bodies)) == bodies
    with pytest.raises(LayoutError):
        decode_bundle(encode_bundle(bodies)[:-1])
