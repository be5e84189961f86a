import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gen3d_tools as g3

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_path():
    sys.path.insert(0, ROOT)
    yield
    sys.path.remove(ROOT)


@pytest.fixture
def plain():
    from gen3d_tools.workflows.bench import plain_rays as plain

    return plain


@pytest.fixture
def ws(tiny_generator):
    return tiny_generator.latents([3], ["cube"])


@pytest.fixture
def backbone_runs(tiny_generator, monkeypatch):
    """The resolution of each run of the backbone, in order."""
    runs = []
    planes = tiny_generator.planes

    def counted(ws, **options):
        runs.append(len(ws))
        return planes(ws, **options)

    monkeypatch.setattr(tiny_generator, "planes", counted)
    return runs


def test_the_plain_picture_is_the_exact_one(tiny_generator, ws, plain):
    camera = tiny_generator.default_camera()
    (field,) = tiny_generator.fields(ws)
    exact = g3.render(field, camera, resolution=24, exact=True).rgb
    assert exact.std() > 0.01
    torch.testing.assert_close(plain.picture(tiny_generator, ws, camera, 24), exact, atol=1e-4, rtol=0)


def test_the_plain_film_is_made_of_plain_pictures(tiny_generator, ws, plain, backbone_runs):
    cameras = g3.orbit(3, tiny_generator.default_camera())
    film = plain.film(tiny_generator, ws, cameras, 8)
    assert len(backbone_runs) == 3  # every frame from the beginning
    assert torch.equal(film[2], plain.picture(tiny_generator, ws, cameras[2], 8))


def test_the_plain_lattice_is_the_field_on_the_mesher_s_lattice(tiny_generator, ws, plain, backbone_runs):
    from gen3d_tools.geometry.extraction.lattice import sample_lattice

    lattice = plain.lattice(tiny_generator, ws, 9, chunk_points=300)
    assert len(backbone_runs) == 3  # every chunk of 729 points from the beginning
    (field,) = tiny_generator.fields(ws)
    ours = torch.from_numpy(sample_lattice(field.raw_density, resolution=9, box_side=field.box_side))
    torch.testing.assert_close(lattice, ours, atol=1e-4, rtol=1e-5)


def test_models_that_render_in_another_way_are_refused(tiny_generator, ws, plain, monkeypatch):
    other = replace(tiny_generator.settings.render_config, marcher="classical")
    monkeypatch.setattr(tiny_generator, "settings", replace(tiny_generator.settings, render_config=other))
    with pytest.raises(g3.InputError, match="marcher 'classical'"):
        plain.picture(tiny_generator, ws, tiny_generator.default_camera(), 8)


def test_work_is_measured_in_turns_and_as_medians(monkeypatch):
    from gen3d_tools.workflows.bench import timing

    done = []
    clock = iter([0, 8, 8, 10, 20, 30, 30, 31, 40, 46, 46, 48])  # plain 8, 10, 6; ours 2, 1, 2
    processor = iter([0, 6, 6, 8, 10, 19, 20, 21, 30, 36, 36, 38])  # plain 6, 9, 6; ours 2, 1, 2
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(timing.time, "process_time", lambda: next(processor))
    measured = timing.measure(lambda: done.append("ours"), lambda: done.append("plain"), repeat=3)
    assert done == ["plain", "ours"] * 3
    assert (measured.plain, measured.ours, measured.ratio) == (8, 2, 3)  # ratios 3, 9, 3


@pytest.mark.slow
def test_peak_memory_grows_with_what_is_held():
    from benchmarks.measuring.timing import peak_bytes

    before = peak_bytes()
    held = torch.ones(max(1, (before + 2**27) // 4))
    assert peak_bytes() >= held.numel() * 4


def test_a_child_that_fails_says_why():
    from benchmarks.measuring.timing import in_own_process

    with pytest.raises(g3.Gen3DError, match="exit code 3: too bad"):
        in_own_process(["-c", "import sys; sys.stderr.write('so sad\\ntoo bad\\n'); sys.exit(3)"])


def test_plain_work_in_parts_is_scaled_and_added():
    from gen3d_tools.workflows.bench.timing import Timing

    surface = Timing(ours=1.0, plain=2.0, ratio=4.0, ours_cpu=1.0, plain_cpu=4.0).scaled(10)
    assert (surface.plain, surface.ratio, surface.plain_cpu, surface.ours) == (20, 40, 40, 1)
    planes = Timing(ours=3.0, plain=5.0, ratio=5.0, ours_cpu=1.0, plain_cpu=5.0)
    both = surface.after(planes, plain_runs=4)
    assert (both.ours, both.plain, both.ratio) == (4, 40, 30)  # (40 + 4 * 5) / (1 + 1)


def test_unknown_groups_are_named(capsys):
    from benchmarks.__main__ import parse_options

    with pytest.raises(SystemExit):
        parse_options(["mesh", "pies"])
    assert "no group pies; choose from networks, mesh" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "group", ["networks", "mesh", "render", "gradients", "training", "model", "startup", "stylenerf"]
)
def test_the_report_has_every_row(group, tiny_folder, few_pixels, tmp_path, capsys, monkeypatch):
    from benchmarks.__main__ import main

    monkeypatch.setenv("COLUMNS", "160")
    words = ["--model", str(tiny_folder), "--repeat", "1", "-o", str(tmp_path / "bench.json"), group]
    main(words, tiny=True)
    report = json.loads((tmp_path / "bench.json").read_text())
    rows = {row["name"]: row for row in report["rows"]}
    wanted = {
        "networks": ["backbone 32^2, fp32", "backbone 32^2, bf16", "super-resolution 64^2 to 128^2, fp32"],
        "mesh": ["EG3D size, surface 24^3, planes given", "3DGP size, surface 24^3, from z"],
        "render": ["EG3D size, picture 16^2, 48+48, same samples", "3DGP size, picture 16^2, 64+64, default"],
        "gradients": [
            "EG3D size, 8^2 x (48 + 48), forward and backward",
            "backbone 32^2, forward and backward",
            "tuning step, planes 32^2, rays 8^2",
            "EG3D size, 8^2, forward and backward",
        ],
        "training": ["3dgp --small, 1 steps", "epigraf --small, 1 steps", "geometry-aware --small, 1 steps"],
        "model": ["picture 16^2", "orbit, 2 x 16^2", "surface 16^3, planes given", "mesh 16^3, .glb"],
        "startup": ["gen3d --help", "gen3d info", "gen3d sample, one picture", "gen3d mesh, no texture"],
        "stylenerf": ["StyleNeRF, latent to a picture of 32^2", "StyleNeRF, density at 1024 points"],
    }[group]
    from gen3d_tools.generators.networks.precision import computes_in_bfloat16

    absent = () if computes_in_bfloat16("cpu") else ("backbone 32^2, bf16",)
    assert set(wanted) - set(absent) <= set(rows)
    assert computes_in_bfloat16("cpu") or not any("bf16" in name for name in rows)
    assert all(row["ours_s"] > 0 for row in rows.values())
    for name, row in rows.items():
        assert (row["ratio"] is None) == (row["plain_s"] is None)
        least = 1e6 if row["note"] == "above the model" else 1e8  # torch alone is that large
        assert row["peak_bytes"] is None or row["peak_bytes"] > least
        if "fp32" in name or "latent to a picture" in name:
            assert float(row["agreement"]) < 1e-5
    assert {"cores", "threads", "torch"} <= set(report["machine"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in rows)  # none is cut or wrapped


@pytest.mark.slow
@pytest.mark.parametrize("name", ["3dgp", "epigraf", "geometry-aware"])
def test_the_published_procedure_takes_the_same_step(name, tmp_path):
    from benchmarks import training
    from benchmarks.measuring.rows import Effort

    effort, told = Effort(tiny=True), ("discriminator.half_blocks=0", "losses.reuse_fakes=false")
    ours, plain = (training._trainer(name, None, tmp_path / who, told, effort) for who in ("ours", "plain"))
    found = ours.step().means()
    with training.published_procedure():
        assert plain.step().means() == pytest.approx(found, rel=0.02, abs=2e-3)  # ours leaves out unseen samples


def test_the_plain_formulation_of_a_volume_is_the_same_field_and_picture():
    from benchmarks import volumes

    generator = volumes.make_generator(**volumes._SMALL)
    ws, camera = generator.latents([1]), generator.default_camera()
    [field] = generator.fields(ws)
    points = (torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.3
    with torch.no_grad():
        features, raw = volumes.plain_query(generator, ws, points)
        torch.testing.assert_close(field(points)[0] * 2 - 1, features, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(field.raw_density(points), raw, atol=1e-2, rtol=1e-3)
        found = g3.render(field, camera, exact=True).rgb
        torch.testing.assert_close(found, volumes.plain_picture(generator, ws, camera), atol=1e-3, rtol=0)
