"""`gen3d sample`: pictures of seeds, as files or as one labelled grid."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.media.images import check_image_path, depth_picture, normal_picture, write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.rendering.ray_rendering import Sampling
from gen3d_tools.rendering.renderer import DEFAULT_RESOLUTION, normals, render
from gen3d_tools.workflows.reporting import Reporter
from gen3d_tools.workflows.runs import Run, RunOptions, output_folder
from gen3d_tools.workflows.samples import Sample, SampleSelection, make_fields

KINDS = ("rgb", "depth", "normal")
GRID_NAME = "grid.png"
MAX_SIZE = 2048
MAX_VIEWS = 64


def check_size(size: int | None, largest: int = MAX_SIZE) -> None:
    """Refuse a picture size out of range; None leaves it to the model.

    Raises:
        InputError: Not within 1..`largest`.
    """
    if size is not None and not 1 <= size <= largest:
        raise InputError(f"size is {size}; it must lie in 1..{largest} pixels")


def parse_kinds(text: str) -> list[str]:
    """Read `--show rgb,depth,normal`.

    Raises:
        InputError: Something else is asked for.
    """
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(f"cannot show {', '.join(unknown) or 'nothing'}; choose from {', '.join(KINDS)}")
    return list(dict.fromkeys(kinds))


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How a picture is taken: angles in degrees and size (None = the model's own), quality."""

    yaw: float | None = None
    pitch: float | None = None
    fov: float | None = None
    size: int | None = None
    exact: bool = False  # the model family's own sampling scheme
    supersample: int = 1
    raw: bool = False  # leave the model's super-resolution out

    @property
    def sampling(self) -> Sampling:
        """What the renderer is told: compiled code takes the scheme's samples, and serves where it can."""
        return "published" if self.exact else "default"

    def sized(self, generator: Generator) -> "ViewOptions":
        """Fill the size in: what the model's super-resolution gives, or 256."""
        return replace(self, size=self.side(generator))

    def side(self, generator: Generator) -> int:
        """Give the side of a picture in pixels."""
        return self.size or generator.image_resolution or DEFAULT_RESOLUTION

    def camera(self, generator: Generator, turn: float = 0.0) -> Camera:
        """Place the camera on the model's sphere, or the photo's of a tuned one, `turn` degrees further round.

        Raises:
            InputError: The pitch is not within -90..90, or the field of view not within 0..180.
        """
        if self.yaw is None and self.pitch is None and self.fov is None and turn == 0:
            return generator.default_camera()
        view = generator.default_view
        pitch = view.pitch_deg if self.pitch is None else self.pitch
        if not -90 <= pitch <= 90:
            raise InputError(f"pitch is {pitch:g}; it must lie in -90..90 degrees (90 = straight from above)")
        return Camera.from_spherical(
            (view.yaw_deg if self.yaw is None else self.yaw) + turn,
            pitch,
            view.radius,
            fov_y_deg=view.fov_y_deg if self.fov is None else self.fov,
            target=view.target,
        ).to(generator.device)


def picture(
    field: RadianceField, camera: Camera, kind: str, look: ViewOptions, config: RenderConfig
) -> Float[Tensor, "3 size size"]:
    """Render one view as colour, depth or normals, on the CPU."""
    frames = render(
        field,
        camera,
        resolution=look.size,
        config=config,
        sampling=look.sampling,
        supersample=look.supersample,
        super_resolution=not look.raw,
    )
    if kind == "depth":
        return depth_picture(frames.depth, frames.opacity).cpu()
    if kind == "normal":
        return normal_picture(normals(field, camera, frames), frames.opacity).cpu()
    return frames.rgb.cpu()


def sample(
    model: str,
    choice: SampleSelection | None = None,
    *,
    show: str = "rgb",
    views: int = 1,
    grid: bool = False,
    look: ViewOptions | None = None,
    options: RunOptions | None = None,
    reporter: Reporter | None = None,
) -> Run:
    """Render samples to pictures.

    Args:
        model: Whatever `load_generator` takes.
        choice: Which samples.
        show: Any of "rgb", "depth", "normal", separated by commas.
        views: Pictures around the object, evenly spaced in yaw.
        grid: One labelled sheet instead of files. Also when the output is one picture and there are several.
        look: Angles, size and quality.
        options: Where the pictures go (one by its suffix, or a folder of them), and on which device.
        reporter: Takes messages and progress.

    Raises:
        Gen3DError: See the tree in `gen3d_tools.errors`.
    """
    choice, look, options = choice or SampleSelection(), look or ViewOptions(), options or RunOptions()
    kinds = parse_kinds(show)
    check_size(look.size)
    if not 1 <= views <= MAX_VIEWS:
        raise InputError(f"views is {views}; it must lie in 1..{MAX_VIEWS}")
    target = options.out or output_folder("sample", model, choice.name_parts)
    one_file = bool(target.suffix) and options.out is not None
    if one_file:
        check_image_path(target, overwrite=options.overwrite)
    generator = load_generator(model, device=options.device, base=options.base)
    look = look.sized(generator)
    samples = choice.samples(generator)
    run = Run("sample", model, choice.record(generator) | {"show": kinds, "views": views}, dry_run=options.dry_run)
    run.options |= asdict(look)
    columns = [f"{kind} {i * 360 // views}°" if views > 1 else kind for kind in kinds for i in range(views)]
    one_sheet = grid or (one_file and len(samples) * len(columns) > 1)
    if options.dry_run:
        _plan(run, samples, columns, target, one_file, one_sheet)
        return run
    rows = _render_rows(generator, samples, choice.psi, kinds, views, look, reporter or Reporter())
    if one_sheet:
        path = target if one_file else target / GRID_NAME
        sheet = samples_sheet(samples, list(rows), columns)
        write_image(path, sheet, overwrite=options.overwrite)
        run.add(path, f"{len(samples)} samples, {sheet.shape[-1]} x {sheet.shape[-2]} pixels")
    else:
        for one, row in zip(samples, rows, strict=True):
            for name, image in zip(columns, row, strict=True):
                path = _path(target, one_file, one, name, columns)
                write_image(path, image, overwrite=options.overwrite)
                run.add(path, f"{one.label}, {look.size} x {look.size} pixels")
    return run.finish(target, next_command=f"gen3d video {options.after(model)}{samples[0].options}")


def _path(target: Path, one_file: bool, one: Sample, name: str, columns: Sequence[str]) -> Path:
    """Name the file of one picture of one sample."""
    suffix = "" if len(columns) == 1 else f"-{name.replace(' ', '-').removesuffix('°')}"
    return target if one_file else target / f"{one.stem}{suffix}.png"


def _plan(
    run: Run, samples: Sequence[Sample], columns: Sequence[str], target: Path, one_file: bool, one_sheet: bool
) -> None:
    """Note what would be written."""
    if one_sheet:
        run.add(target if one_file else target / GRID_NAME, f"{len(samples)} samples in one sheet")
        return
    for one in samples:
        for name in columns:
            run.add(_path(target, one_file, one, name, columns), f"{one.label}, {name}")


def samples_sheet(samples: Sequence[Sample], pictures: Sequence[list[Tensor]], columns: Sequence[str]) -> Tensor:
    """Lay pictures out as a labelled table: a row per class and a column per seed where that works.

    Args:
        samples: What was rendered, class by class.
        pictures: The pictures of each sample.
        columns: What each of a sample's pictures shows; not worth saying when it is only one.
    """
    classes = list(dict.fromkeys(one.class_name for one in samples))
    seeds = list(dict.fromkeys(one.seed for one in samples))
    shows = columns if len(columns) > 1 else [""]
    if [(one.class_name, one.seed) for one in samples] == [(name, seed) for name in classes for seed in seeds]:
        rows = [list(chain(*pictures[i : i + len(seeds)])) for i in range(0, len(samples), len(seeds))]
        return contact_sheet(
            rows, classes, [f"{'' if seed is None else seed} {what}".strip() for seed in seeds for what in shows]
        )
    return contact_sheet(pictures, [one.label for one in samples], columns if len(columns) > 1 else None)


def _render_rows(
    generator: Generator,
    samples: Sequence[Sample],
    psi: float,
    kinds: Sequence[str],
    views: int,
    look: ViewOptions,
    reporter: Reporter,
) -> Iterator[list[Tensor]]:
    """Render one sample after the other: its kinds of picture, each from all views."""
    cameras = [look.camera(generator, 360 * i / views) for i in range(views)]
    settings, per_sample = generator.settings, len(kinds) * views
    config = settings.render_config if look.exact else config_for(stack_cameras(cameras), settings)
    with reporter.progress("rendering", len(samples) * per_sample) as done:
        for index, one in enumerate(samples):
            [field] = make_fields(generator, [one], psi)
            row: list[Tensor] = []
            for kind in kinds:
                for camera in cameras:
                    row.append(picture(field, camera, kind, look, config))
                    done(index * per_sample + len(row))
            yield row
