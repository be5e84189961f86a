import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.media.sheets import contact_sheet, tile


def flat(value: float, height: int = 40, width: int = 40) -> torch.Tensor:
    return torch.full((3, height, width), value)


def dark(region: torch.Tensor) -> bool:
    return bool((region < 0.4).any())


def test_without_labels_a_sheet_is_images_gaps_and_nothing_else():
    sheet = contact_sheet([[flat(0.0), flat(0.5)]], gap=10)
    assert sheet.shape == (3, 10 + 40 + 10, 10 + 40 + 10 + 40 + 10)
    assert torch.equal(sheet[:, 10:50, 10:50], flat(0.0))
    assert torch.equal(sheet[:, 10:50, 60:100], flat(0.5))
    assert (sheet[:, :10] == 1).all()


def test_pixels_of_the_images_are_not_touched():
    image = torch.rand(3, 33, 47)
    sheet = contact_sheet([[image]], ["row"], ["column"], title="Title", gap=7)
    assert torch.equal(sheet[:, -40:-7, -54:-7], image)


def test_each_label_leaves_ink_at_its_place():
    images = [[flat(1.0, 60, 80)] * 2] * 2
    bare = contact_sheet(images)
    labelled = contact_sheet(images, ["one", "two"], ["left", "right"], title="Both")
    extra_height, extra_width = labelled.shape[1] - bare.shape[1], labelled.shape[2] - bare.shape[2]
    assert extra_height > 20
    assert extra_width > 10
    rows, columns = labelled[:, extra_height:], labelled[:, :extra_height, extra_width:]
    assert not dark(bare)
    assert dark(rows[:, : 60 + 12, :extra_width])
    assert dark(rows[:, 60 + 12 :, :extra_width])
    assert dark(columns[..., : 80 + 12])
    assert dark(columns[..., 80 + 12 :])
    assert not dark(rows[..., extra_width:])


def test_a_thin_line_separates_the_cells():
    sheet = contact_sheet([[flat(1.0), flat(1.0)], [flat(1.0), flat(1.0)]], gap=12)
    middle = sheet.shape[1] // 2
    assert (sheet[:, middle - 6 : middle + 6, 20] < 1).all(0).sum() == 1
    assert (sheet[:, 20, middle - 6 : middle + 6] < 1).all(0).sum() == 1


def test_small_images_are_centred_in_their_cell():
    sheet = contact_sheet([[flat(0.0, 40, 40)], [flat(0.0, 20, 10)]], gap=10)
    ys, xs = torch.nonzero(sheet[0, 60:] == 0, as_tuple=True)
    assert (ys.min(), ys.max()) == (0, 19)
    assert (xs.min(), xs.max()) == (10 + 15, 10 + 24)


def test_long_labels_and_titles_widen_the_sheet_instead_of_being_cut():
    short = contact_sheet([[flat(1.0)]], None, ["a"])
    assert contact_sheet([[flat(1.0)]], None, ["a label longer than its image"]).shape[2] > short.shape[2] + 100
    titled = contact_sheet([[flat(1.0)]], title="A title longer than the table below it")
    assert (titled[:, :, -12:] == 1).all()
    assert titled.shape[2] > 300


def test_rows_may_differ_in_length():
    assert contact_sheet([[flat(0.5)], [flat(0.5)] * 3]).shape == contact_sheet([[flat(0.5)] * 3] * 2).shape


def test_the_number_of_labels_must_fit():
    with pytest.raises(InputError, match="got 1 labels for 2 rows"):
        contact_sheet([[flat(0.5)], [flat(0.5)]], ["one"])
    with pytest.raises(InputError, match="got 3 labels for 1 columns"):
        contact_sheet([[flat(0.5)], [flat(0.5)]], None, ["a", "b", "c"])
    with pytest.raises(InputError, match="at least one image"):
        contact_sheet([])


def test_tiles_touch_and_run_row_by_row():
    grid = tile([flat(value, 2, 3) for value in (0.1, 0.2, 0.3)], columns=2)
    assert grid.shape == (3, 4, 6)
    assert torch.equal(grid[0, ::2, ::3], torch.tensor([[0.1, 0.2], [0.3, 1.0]]))


def test_a_short_row_of_tiles_is_not_widened():
    assert tile([flat(0.1, 2, 3)], columns=5).shape == (3, 2, 3)


def test_tiles_need_an_image_and_a_column():
    with pytest.raises(InputError):
        tile([], columns=2)
    with pytest.raises(InputError):
        tile([flat(0.1)], columns=0)
