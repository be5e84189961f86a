"""What a person takes home: a picture, a mesh, points, a record, and the command or the lines that make the same."""

import json
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.formats import write_camera_path
from gen3d_tools.checkpoints.bundled import bundled_models
from gen3d_tools.errors import InputError
from gen3d_tools.generators.settings import ModelSettings, config_for
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.formats.point_cloud import sample_points, write_points
from gen3d_tools.media.images import write_image
from gen3d_tools.viewer.choice import Choice
from gen3d_tools.viewer.drawing.look import Kind, Look
from gen3d_tools.viewer.drawing.window import View, angles_of
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.workflows.mesh.options import MeshOptions
from gen3d_tools.workflows.mesh.sample import make_mesh
from gen3d_tools.workflows.running.runs import Run
from gen3d_tools.workflows.samples.views import ViewOptions, picture

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

PICTURE, MESH, POINTS = "Picture", "Mesh file", "Point cloud"
PICTURE_SIZE = 512
"""Side of a picture in pixels, where the page chooses none."""

POINT_COUNT = 100_000
KINDS = {"colour": "rgb", "depth": "depth", "normals": "normal"}
"""What the commands call the kinds of picture that both have."""

_SHOWN: dict[Kind, str] = {
    "colour": "frames.rgb",
    "depth": "g3.depth_picture(frames.depth, frames.opacity)",
    "normals": "normal_picture(normals(field, camera, frames), frames.opacity)",
    "opacity": "frames.opacity.expand(3, -1, -1)",
}
"""Python that gives the picture of each kind."""


class TakeHome:
    """What a session gives its person.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def size(self) -> int:
        """Side of a picture, pixels."""
        return self._session.look.size or self._session.generator.image_resolution or PICTURE_SIZE

    def stem(self, choice: Choice) -> str:
        """A safe name for files of an object."""
        return choice.sample(self._session.models[choice.model]).stem

    def picture(self) -> None:
        """Give the picture of the window's middle square: that of `gen3d sample`, to the bit."""
        session, choice, view, look = self._session, self._session.choice, self._session.view, self._session.look
        if look.kind not in KINDS or look.background != "model's own":
            raise InputError(
                "the picture is that of gen3d sample, which knows colour, depth and normals on the model's own "
                "background; choose those"
            )
        options = ViewOptions(size=self.size, exact=look.exact, raw=look.raw)

        def work(job: Job) -> None:
            scene, camera = session.scene_of(choice), view.camera().to(session.generator.device)
            config = scene.settings.render_config if look.exact else config_for(camera, scene.settings)
            drawn = picture(scene.field, camera, KINDS[look.kind], options, config)
            job.check()
            self._send(f"{self.stem(choice)}.png", lambda path: write_image(path, drawn))

        session.jobs.begin(PICTURE, work)

    def mesh(self, options: MeshOptions) -> None:
        """Give the mesh as .glb: that of `gen3d mesh`."""
        options.check()
        session, choice = self._session, self._session.choice

        def work(job: Job) -> None:
            scene = session.scene_of(choice)
            made = make_mesh(
                scene.field,
                scene.settings,
                options,
                lambda done, of: job.report(0.9 * done / of),
                only_textured=options.texture is not None,
            )
            job.check()
            name = choice.sample(session.models[choice.model]).object_name
            self._send(f"{self.stem(choice)}.glb", lambda path: write_mesh(path, made.best, name=name))

        session.jobs.begin(MESH, work)

    def points(self, options: MeshOptions, count: int = POINT_COUNT) -> None:
        """Give points of the surface with normals and colours, as .ply."""
        options.check()
        session, choice = self._session, self._session.choice

        def work(job: Job) -> None:
            scene = session.scene_of(choice)
            made = make_mesh(scene.field, scene.settings, options, lambda done, of: job.report(0.8 * done / of))
            cloud = sample_points(made.plain, count)
            job.check()
            self._send(f"{self.stem(choice)}-points.ply", lambda path: write_points(path, cloud))

        session.jobs.begin(POINTS, work)

    def camera(self) -> None:
        """Give the view as a camera file, for `gen3d video --path`."""
        cameras = stack_cameras([self._session.view.camera()])
        self._send("view.json", lambda path: write_camera_path(path, cameras, height=self.size))

    def record(self) -> None:
        """Give what is seen as numbers: a run.json, as every command leaves one."""
        content = json.dumps(self.run().record(), indent=2) + "\n"
        self._session.page.send_file(f"{self.stem(self._session.choice)}.run.json", content.encode())

    def run(self) -> Run:
        """What is seen, as a run."""
        session = self._session
        options = {**asdict(session.choice), "look": asdict(session.look), "view": asdict(session.view)}
        run = Run("view", session.generator.source, options)
        run.details["camera"] = [round(number, 7) for number in session.view.camera().to_eg3d_label().tolist()]
        return run

    def command(self) -> str:
        """The command line that makes the picture; in Python where no option says it."""
        session = self._session
        try:
            return picture_command(session, session.choice, session.view, self.size)
        except InputError:
            return python_lines(session, session.choice, session.view, self.size)

    def _send(self, name: str, write: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write(path)
            self._session.page.send_file(name, path.read_bytes())


def picture_command(session: "Session", choice: Choice, view: View, size: int) -> str:
    """Write the command that makes the picture of a view.

    Args:
        session: Knows the model and the look.
        choice: The object.
        view: From where.
        size: Side of the picture, pixels.

    Raises:
        InputError: No option says it.
    """
    generator, look = session.models[choice.model], session.look
    angles = angles_of(view, generator)
    if look.background != "model's own" or look.kind not in KINDS:
        raise InputError("no option says the background or the opacity; take the Python lines")
    plain = replace(choice, edits=())
    first, model = "", plain.after(generator)
    if edits := [f"--direction {shlex.quote(f'{name}={amount:g}')}" for name, amount in choice.edits if amount]:
        first = " ".join(["gen3d edit", model, *edits, "-o edited && "])
        bundled = generator.source in bundled_models()
        model = "edited" if bundled else f"edited --base {shlex.quote(generator.source)}"
    words = [model, "--size", str(size)]
    words += [] if look.kind == "colour" else ["--show", KINDS[look.kind]]
    words += ["--exact"] if look.exact else []
    words += ["--raw"] if look.raw else []
    stem = shlex.quote(choice.sample(generator).stem)
    if angles is None:
        return first + " ".join(["gen3d video", *words, "--path view.json --format frames -o pictures/"])
    yaw, pitch = angles
    default = generator.default_view
    words += [f"--yaw {yaw:.6g} --pitch {pitch:.6g}"]
    words += [] if abs(view.fov_deg - default.fov_y_deg) < 1e-4 else [f"--fov {view.fov_deg:.6g}"]
    return first + " ".join(["gen3d sample", *words, "-o", f"{stem}.png"])


def python_lines(session: "Session", choice: Choice, view: View, size: int) -> str:
    """Write the lines of Python that make the picture of a view, whatever the object.

    Args:
        session: Knows the model and the look.
        choice: The object.
        view: From where.
        size: Side of the picture, pixels.
    """
    generator, look = session.models[choice.model], session.look
    name = choice.sample(generator).class_name

    def of(seed: int | None) -> str:
        if seed is None:
            return "generator.pivot.ws"
        psi = "" if choice.psi == 1 else f", truncation_psi={choice.psi!r}"
        return f"generator.latents([{seed}]{f', [{name!r}]' if name else ''}{psi})"

    lines = ["import gen3d_tools as g3", "", f"generator = g3.load_generator({generator.source or choice.model!r})"]
    lines.append(f"ws = {of(choice.seed)}")
    if choice.blend:
        lines.append(f"ws = ws.lerp({of(choice.second_seed)}, {choice.blend!r})")
    first, end = choice.mixed
    if first < end:
        lines.append(f"ws[:, {first}:{end}] = {of(choice.style_seed)}[:, {first}:{end}]")
    if any(amount for _, amount in choice.edits):
        lines.append(session.offered(choice.model).lines)
    lines += [
        f"ws = directions.named({one!r}, {choice.class_index}).apply(ws, {amount!r})"
        for one, amount in choice.edits
        if amount
    ]
    lines.append("[field] = generator.fields(ws)")
    place = ", ".join(repr(tuple(round(number, 6) for number in vector)) for vector in (view.position, view.look_at))
    lines.append(f"camera = g3.Camera.look_at({place}, {view.up!r}, fov_y_deg={view.fov_deg:.6g})")
    lines += _look_lines(look, generator.settings, view.camera(), size, f"{choice.sample(generator).stem}.png")
    return "\n".join(lines)


def _look_lines(look: Look, settings: ModelSettings, camera: Camera, size: int, name: str) -> list[str]:
    """Write the lines that render `field` from `camera`, and keep what the look shows of it."""
    lines, extra = list[str](), ""
    wanted, usual = asdict(look.config(settings, camera)), asdict(settings.render_config)
    if changes := [f"{key}={value!r}" for key, value in wanted.items() if value != usual[key]]:
        lines += ["from dataclasses import replace", f"config = replace(field.render_config, {', '.join(changes)})"]
        extra = ", config=config"
    extra += (", exact=True" if look.exact else "") + (", super_resolution=False" if look.raw else "")
    lines.append(f"frames = g3.render(field, camera, resolution={size}{extra})")
    if look.kind == "normals":
        lines.append("from gen3d_tools.media.images import normal_picture")
        lines.append("from gen3d_tools.rendering.renderer import normals")
    return [*lines, f"g3.write_image({name!r}, {_SHOWN[look.kind]})"]
