"""Contact sheets: labelled tables of images for people, bare grids for videos."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.media.images import from_uint8

_INK = (34, 38, 46)
_LINE = (222, 225, 230)
_THUMBNAIL = 256  # pixels of the longer side


def thumbnail(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 _ _"]:
    """Shrink (or enlarge) a picture to what a sheet has room for."""
    scale = _THUMBNAIL / max(rgb.shape[-2:])
    size = [max(1, round(side * scale)) for side in rgb.shape[-2:]]
    return torch.nn.functional.interpolate(rgb[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def tile(images: Sequence[Float[Tensor, "3 _ _"]], columns: int) -> Float[Tensor, "3 H W"]:
    """Lay images out edge to edge, row by row, without labels: a frame of a grid video.

    Args:
        images: At least one; smaller ones are centred in cells of the largest size.
        columns: Cells per row; cells left over in the last row are white.
    """
    if not images or columns < 1:
        raise InputError(f"need at least one image and one column, got {len(images)} images and {columns} columns")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = max(image.shape[-2] for image in images), max(image.shape[-1] for image in images)
    grid = torch.ones(3, rows * height, columns * width, device=images[0].device)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        _paste_centred(grid, image, _Box(column * width, row * height, width, height))
    return grid


def contact_sheet(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    *,
    title: str | None = None,
    gap: int = 12,
) -> Float[Tensor, "3 H W"]:
    """Draw a table of images on white, with labels and thin lines between its cells.

    Args:
        rows: The images, row by row. Rows may differ in length, images in size: small ones are centred.
        row_labels: One per row, left of it.
        column_labels: One per column of the longest row, above it. Columns are as wide as their label needs.
        title: A larger line at the top.
        gap: Pixels between cells and around the table.

    Raises:
        InputError: There is no image, or the number of labels is not the number of rows or columns.
    """
    layout = _Layout.plan(rows, row_labels, column_labels, title, gap)
    canvas = Image.new("RGB", (layout.width, layout.height), "white")
    _draw_text_and_lines(ImageDraw.Draw(canvas), layout)
    sheet = from_uint8(np.asarray(canvas))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            _paste_centred(sheet, image.detach().cpu().float(), layout.cell(row, column))
    return sheet


@dataclass(frozen=True)
class _Box:
    """A rectangle in pixels; y runs down."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class _Layout:
    """Where everything of a contact sheet goes, in pixels."""

    row_labels: Sequence[str]
    column_labels: Sequence[str]
    title: str
    font: ImageFont.FreeTypeFont
    title_font: ImageFont.FreeTypeFont
    gap: int
    left: int  # of the first column: right of the row labels
    top: int  # of the first row: below title and column labels
    column_widths: list[int]
    row_heights: list[int]

    @classmethod
    def plan(
        cls,
        rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]],
        row_labels: Sequence[str] | None,
        column_labels: Sequence[str] | None,
        title: str | None,
        gap: int,
    ) -> "_Layout":
        columns = max((len(row) for row in rows), default=0)
        if columns == 0:
            raise InputError("a contact sheet needs at least one image, got none")
        row_labels = _labels(row_labels, len(rows), "row")
        column_labels = _labels(column_labels, columns, "column")
        row_heights = [max((image.shape[-2] for image in row), default=0) for row in rows]
        size = min(max(max(row_heights) // 12, 13), 28)  # readable beside thumbnails, not shouting beside posters
        font, title_font = _font(size), _font(round(1.5 * size))
        row_labels_size = [_text_size(label, font) for label in row_labels]
        row_heights = [max(height, label[1]) for height, label in zip(row_heights, row_labels_size, strict=True)]
        label_width = max(width for width, _ in row_labels_size)
        label_height = max(_text_size(label, font)[1] for label in column_labels)
        title_width, title_height = _text_size(title or "", title_font)
        column_widths = [
            max(_text_size(label, font)[0], *(row[column].shape[-1] for row in rows if column < len(row)))
            for column, label in enumerate(column_labels)
        ]
        left = gap + (label_width + gap if label_width else 0)
        missing = title_width - (left + sum(column_widths) + gap * (columns - 1)) + gap
        column_widths[-1] += max(missing, 0)
        heads = sum(height + gap for height in (title_height, label_height) if height)
        return cls(
            row_labels=row_labels,
            column_labels=column_labels,
            title=title or "",
            font=font,
            title_font=title_font,
            gap=gap,
            left=left,
            top=gap + heads,
            column_widths=column_widths,
            row_heights=row_heights,
        )

    @property
    def width(self) -> int:
        return self.left + sum(self.column_widths) + self.gap * len(self.column_widths)

    @property
    def height(self) -> int:
        return self.top + sum(self.row_heights) + self.gap * len(self.row_heights)

    def cell(self, row: int, column: int) -> _Box:
        left = self.left + sum(self.column_widths[:column]) + self.gap * column
        top = self.top + sum(self.row_heights[:row]) + self.gap * row
        return _Box(left, top, self.column_widths[column], self.row_heights[row])


def _draw_text_and_lines(draw: ImageDraw.ImageDraw, layout: _Layout) -> None:
    gap = layout.gap
    if layout.title:
        draw.text((gap, gap), layout.title, fill=_INK, font=layout.title_font)
    for column, label in enumerate(layout.column_labels):
        cell = layout.cell(0, column)
        width, height = _text_size(label, layout.font)
        place = (cell.left + (cell.width - width) // 2, cell.top - gap - height)
        draw.multiline_text(place, label, fill=_INK, font=layout.font, align="center")
        if column:
            x = cell.left - gap // 2 - 1
            draw.line([(x, layout.top), (x, layout.height - gap)], fill=_LINE)
    for row, label in enumerate(layout.row_labels):
        cell = layout.cell(row, 0)
        width, height = _text_size(label, layout.font)
        place = (layout.left - gap - width, cell.top + (cell.height - height) // 2)
        draw.multiline_text(place, label, fill=_INK, font=layout.font, align="right")
        if row:
            y = cell.top - gap // 2 - 1
            draw.line([(layout.left, y), (layout.width - gap, y)], fill=_LINE)


def _paste_centred(canvas: Float[Tensor, "3 H W"], image: Float[Tensor, "3 h w"], box: _Box) -> None:
    height, width = image.shape[-2:]
    top, left = box.top + (box.height - height) // 2, box.left + (box.width - width) // 2
    canvas[:, top : top + height, left : left + width] = image


def _labels(labels: Sequence[str] | None, count: int, of: str) -> list[str]:
    if labels is None:
        return [""] * count
    if len(labels) != count:
        raise InputError(f"need one label per {of}, got {len(labels)} labels for {count} {of}s")
    return list(labels)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _text_size(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Width and height of `text`, drawn from its ascender line so that labels share a baseline; (0, 0) if empty."""
    if not text:
        return 0, 0
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    return round(box[2]), max(round(box[3]), sum(font.getmetrics()))
