"""What every family of generators must do; `test_families.py` runs it over all of them.

A new family is added to `CASES` there: its generator (or the bytes of a small published file), and nothing else. What
is asked for is what commands rely on: see docs/add-a-family.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.reconstruction import field_of
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.geometry.extraction.isosurface import isosurface
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.convert import convert
from gen3d_tools.workflows.describe import describe_model


@dataclass(frozen=True)
class FamilyCase:
    """One family, small enough for every test."""

    family: str
    published: Callable[[], bytes] | None = None  # a published file
    suffix: str = ".pkl"
    folder: Callable[[], dict[str, bytes]] | None = None  # ... or a published folder: its files, the largest cut short
    generator: Callable[[], Generator] | None = None  # for families of which nothing was published


@dataclass(frozen=True)
class Made:
    """A case on disk and loaded."""

    case: FamilyCase
    generator: Generator
    folder: Path
    file: Path | None


def make(case: FamilyCase, folder: Path) -> Made:
    """Load the case, and write it as a model folder."""
    file = None
    if case.published is not None:
        file = folder / f"{case.family}{case.suffix}"
        file.write_bytes(case.published())
        generator = load_generator(file, device="cpu")
    elif case.folder is not None:
        file = _write_files(folder / case.family, case.folder())
        generator = load_generator(file, device="cpu")
    else:
        assert case.generator is not None
        generator = case.generator()
    native = folder / "native"
    generator.save(native)
    return Made(case, generator, native, file)


def _write_files(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def one_field(generator: Generator) -> RadianceField:
    """A scene of a generator; gradients reach what it is made from."""
    if isinstance(generator, TripoSR):
        picture = torch.rand(3, *[generator.config.image_resolution] * 2, generator=torch.Generator().manual_seed(0))
        return field_of(
            generator.planes(picture[None])[0], generator.decoder, generator.config.of_an_object(), generator.settings
        )
    if isinstance(generator, LatentFree):
        return generator.fields(generator.no_latents())[0]
    return generator.fields(generator.latents([1]))[0]


def needs_latents(made: "Made") -> None:
    """Skip what is about seeds."""
    if isinstance(made.generator, LatentFree):
        pytest.skip("it has no latents")


class FamilyTests:
    """The tests; a subclass gives the fixture `made`."""

    def test_it_says_its_name_and_what_its_scenes_are_made_of(self, made):
        assert made.generator.family == made.case.family
        assert made.generator.scene
        assert made.generator.settings.licence

    def test_a_saved_model_is_the_same_model(self, made):
        again = load_generator(made.folder, device="cpu")
        assert again.config == made.generator.config
        assert again.settings == made.generator.settings
        assert torch.equal(_densities(again), _densities(made.generator))

    def test_without_latents_seeds_are_refused_in_one_sentence(self, made):
        if not isinstance(made.generator, LatentFree):
            pytest.skip("it has latents")
        for ask in (made.generator.latents, made.generator.class_indices):
            with pytest.raises(InputError, match=r"no (other )?seeds and no classes"):
                ask([1])
        with pytest.raises(InputError, match=r"no (other )?seeds"):
            made.generator.map(torch.zeros(1, 4))

    def test_a_seed_names_one_sample_in_every_batch(self, made):
        needs_latents(made)
        both, alone = made.generator.latents([5, 1]), made.generator.latents([1])
        assert torch.equal(both[1:], alone)
        first, second = made.generator.fields(both)
        points = _points(second)
        assert torch.equal(second.raw_density(points), made.generator.fields(alone)[0].raw_density(points))
        assert not torch.equal(first.raw_density(points), second.raw_density(points))

    def test_truncation_goes_from_the_mean_to_the_sample(self, made):
        needs_latents(made)
        full, none = made.generator.latents([1]), made.generator.latents([1], truncation_psi=0.0)
        half = made.generator.latents([1], truncation_psi=0.5)
        assert full.shape == (1, made.generator.num_ws, made.generator.config.w_dim)
        torch.testing.assert_close(half, (full + none) / 2, atol=1e-5, rtol=1e-5)

    def test_gradients_reach_latents_and_parameters(self, made):
        generator = made.generator
        latent_free = isinstance(generator, LatentFree)
        ws = None if latent_free else generator.latents([1]).requires_grad_()
        parameters = list(generator.parameters())
        for parameter in parameters:
            parameter.requires_grad_()
        try:
            field = one_field(generator) if ws is None else generator.fields(ws)[0]
            values, raw = field(_points(field))
            (values.square().sum() + raw.square().sum()).backward()
            reached = [parameter for parameter in parameters if parameter.grad is not None]
            assert reached
            assert all(torch.isfinite(parameter.grad).all() for parameter in reached)
            assert ws is None or (torch.isfinite(ws.grad).all() and ws.grad.abs().sum() > 0)
        finally:
            for parameter in parameters:
                parameter.grad = None
                parameter.requires_grad_(False)

    def test_numbers_stay_finite_at_extremes(self, made):
        if isinstance(made.generator, LatentFree):
            field = one_field(made.generator)
        else:
            [field] = made.generator.fields(made.generator.latents([2], truncation_psi=3.0))
        half = field.box_side / 2
        corners = torch.tensor([[x, y, z] for x in (-half, half) for y in (-half, half) for z in (-half, half)])
        points = torch.cat([corners, torch.zeros(1, 3), corners * 100])
        values, raw = field(points)
        assert torch.isfinite(values).all()
        assert torch.isfinite(raw).all()
        assert torch.isfinite(field.activate(raw)).all()
        assert (field.activate(raw) >= 0).all()

    def test_a_field_answers_alike_in_every_way_of_asking(self, made):
        field = one_field(made.generator)
        points = _points(field)
        values, raw = field(points)
        torch.testing.assert_close(field.raw_density(points), raw, atol=1e-4, rtol=1e-5)
        features, raw_again = field.deferred(points)
        torch.testing.assert_close(raw_again, raw, atol=1e-4, rtol=1e-5)
        ones = torch.ones(len(points))
        torch.testing.assert_close(field.shade(features, ones), values, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(field.shade(features, ones, 3), values[:, :3], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(field.to("cpu").raw_density(points), field.raw_density(points))
        assert field(points[:0])[1].shape == (0,)

    def test_pictures_are_finite_repeatable_and_of_the_size_asked_for(self, made):
        field = one_field(made.generator)
        field = replace(field, render_config=replace(field.render_config, coarse_samples=6, fine_samples=4))
        camera = made.generator.default_camera()
        frames = render(field, camera, resolution=12, super_resolution=False)
        assert frames.rgb.shape == (3, 12, 12)
        for picture in (frames.rgb, frames.depth, frames.opacity):
            assert torch.isfinite(picture).all()
        assert 0 <= float(frames.rgb.min()) <= float(frames.rgb.max()) <= 1
        assert torch.equal(render(field, camera, resolution=12, super_resolution=False).rgb, frames.rgb)
        assert made.generator.super_resolves == (field.super_resolution is not None)
        if field.super_resolution is not None:
            final = render(field, camera)
            assert final.rgb.shape == (3, made.generator.image_resolution, made.generator.image_resolution)
            assert torch.isfinite(final.rgb).all()

    def test_cameras_are_drawn_by_seed(self, made):
        if isinstance(made.generator, LatentFree):
            z, classes = torch.zeros(2, 0), None
        elif made.generator.class_names:
            z, classes = torch.randn(2, made.generator.config.z_dim), [0, 0]
        else:
            z, classes = torch.randn(2, made.generator.config.z_dim), None
        both = made.generator.sample_cameras(2, [3, 4], z, classes)
        alone = made.generator.sample_cameras(1, [4], z[1:], None if classes is None else [0])
        torch.testing.assert_close(both[1].cam2world, alone[0].cam2world)

    def test_its_surface_is_closed(self, made):
        field = one_field(made.generator)
        level = float(field.raw_density(_points(field, 500)).median())
        vertices, faces = isosurface(field.raw_density, resolution=12, box_side=field.box_side, iso_level=level)
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all()  # in noise, parts may share an edge
        assert np.abs(vertices).max() <= field.box_side / 2 * 1.001

    def test_it_is_described_without_its_weights(self, made):
        told = describe_model(made.folder)
        assert told.family == made.case.family
        assert told.parameters == made.generator.num_parameters()
        assert told.scene == made.generator.scene
        assert told.to_dict()["network"] == made.generator.config.to_dict()

    def test_classes_belong_to_the_model(self, made):
        if not made.generator.class_names:
            with pytest.raises(InputError, match="no classes"):
                made.generator.latents([1], [0])
            return
        with pytest.raises(InputError, match="there is no class 999"):
            made.generator.latents([1], [999])

    def test_a_published_file_becomes_a_model_folder(self, made, tmp_path):
        if made.file is None:
            pytest.skip("no weights of this family were published")
        convert(made.file, out=tmp_path / "model")
        again = load_generator(tmp_path / "model", device="cpu")
        assert again.config == made.generator.config
        expected = made.generator.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())

    @pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.999])
    def test_a_file_that_is_cut_short_is_refused_in_one_line(self, made, tmp_path, share):
        if made.file is None:
            pytest.skip("no weights of this family were published")
        if made.file.is_dir():
            contents = {path.name: path.read_bytes() for path in made.file.iterdir()}
            largest = max(contents, key=lambda name: len(contents[name]))
            contents[largest] = contents[largest][: int(share * len(contents[largest]))]
            path = _write_files(tmp_path / made.file.name, contents)
        else:
            data = made.file.read_bytes()
            path = tmp_path / made.file.name
            path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(CheckpointError) as refusal:
            load_generator(path, device="cpu")
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("change", ["missing", "surplus", "shape", "nan"])
    def test_a_folder_whose_tensors_do_not_fit_is_refused_by_name(self, made, tmp_path, change):
        tensors = {name: tensor.clone() for name, tensor in made.generator.state_dict().items()}
        name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
        if change == "missing":
            del tensors[name]
        elif change == "surplus":
            tensors["strange"] = torch.zeros(1)
            name = "strange"
        elif change == "shape":
            tensors[name] = torch.zeros(1)
        else:
            tensors[name] = tensors[name].contiguous()
            tensors[name].view(-1)[0] = float("nan")
        from safetensors.torch import save_file

        folder = tmp_path / "spoiled"
        made.generator.save(folder)
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
            load_generator(folder, device="cpu")


def _points(field: RadianceField, count: int = 64) -> torch.Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * field.box_side


def _densities(generator: Generator) -> torch.Tensor:
    field = one_field(generator)
    return field.raw_density(_points(field))
