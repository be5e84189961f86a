"""A file of directions: what it keeps, whose model it is of, and what of it is refused."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gen3d_tools.editing.directions import Direction, Directions, load_directions
from gen3d_tools.editing.finding import find_directions
from gen3d_tools.errors import CheckpointError, InputError, NotFoundError
from gen3d_tools.generators.loading import load_generator


@pytest.fixture(scope="module")
def generator(tiny_folder):
    return load_generator(tiny_folder, device="cpu")


@pytest.fixture
def found(generator):
    return find_directions(generator, count=3)


def one_of(generator, **changes):
    vector = torch.nn.functional.normalize(torch.ones(generator.config.w_dim), dim=0)
    values = {"name": "size", "vector": vector, "layers": (0, 2), "deviation": 0.5, "method": "pca", **changes}
    return Direction(**values)


def set_of(found, *entries):
    return Directions(model_sha256=found.model_sha256, num_ws=found.num_ws, w_dim=found.w_dim, entries=entries)


def test_what_is_saved_comes_back(tmp_path, generator, found):
    named = one_of(generator, name="roof-width", class_index=1, correlation=0.93, method="a regression")
    found.joined(set_of(found, named)).save(tmp_path / "a.safetensors")
    back = load_directions(tmp_path / "a.safetensors", generator)
    assert back.names == ("sefa-1", "sefa-2", "sefa-3", "roof-width")
    last = back["roof-width"]
    assert (last.layers, last.class_index, last.correlation, last.method) == ((0, 2), 1, 0.93, "a regression")
    for before, after in zip([*found, named], back, strict=True):
        assert torch.allclose(before.vector, after.vector, atol=1e-6)
        assert before.deviation == after.deviation


def test_a_tuned_model_takes_the_directions_of_its_base(tmp_path, generator, found):
    from gen3d_tools.checkpoints.results import StoredResult, write_result
    from gen3d_tools.checkpoints.weight_delta import no_difference
    from gen3d_tools.generators.source import find_source, reference

    shutil.copytree(generator.source, tmp_path / "tiny")
    found.save(tmp_path / "tiny" / "directions.safetensors")
    (tmp_path / "result").mkdir()
    write_result(
        tmp_path / "result",
        StoredResult(
            base=reference(find_source(generator.source)),
            ws=generator.latents([3], [1]),
            camera=generator.default_camera().to_eg3d_label(),
            class_index=1,
            difference=no_difference(),
            report={},
        ),
    )
    tuned = load_generator(tmp_path / "result", device="cpu")
    assert torch.equal(tuned.pivot.ws, generator.latents([3], [1]))
    assert load_directions(tmp_path / "tiny", tuned).names == found.names


def test_a_file_of_another_model_is_refused_in_one_line(tmp_path, generator, found, tiny_generator):
    with torch.random.fork_rng():
        changed = load_generator(generator.source, device="cpu")
    changed.decoder.net[0].bias.add_(1.0)
    changed.save(tmp_path / "other")
    found.save(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="directions of another model") as refused:
        load_directions(tmp_path / "a.safetensors", load_generator(tmp_path / "other", device="cpu"))
    assert "\n" not in str(refused.value)


def test_a_generator_that_is_nowhere_on_disk_has_directions_but_no_file_of_them(tmp_path, tiny_generator):
    found = find_directions(tiny_generator, count=2)
    assert len(found) == 2
    with pytest.raises(InputError, match="nowhere on disk"):
        found.save(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_names_belong_to_classes(generator, found):
    both = set_of(
        found, one_of(generator, class_index=0), one_of(generator, class_index=1), one_of(generator, name="x")
    )
    assert both.named("size", 1).class_index == 1
    assert both.named("x", 1) is both.entries[2]
    assert both.of_class(0).names == ("size", "x")
    with pytest.raises(InputError, match="2 classes have a direction size"):
        both["size"]
    with pytest.raises(InputError, match="did you mean size"):
        both.named("sizes", 1)
    only_ball = set_of(found, one_of(generator, class_index=0), one_of(generator, name="hue", class_index=1))
    with pytest.raises(InputError, match="there are: hue"):
        only_ball.named("size", 1)


def test_of_two_with_one_name_the_later_stays(generator, found):
    before, after = one_of(generator), one_of(generator, deviation=2.0)
    assert set_of(found, before).joined(set_of(found, after)).entries == (after,)


def header_of(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["gen3d"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directions": []}, "a list of 1"),
        ({"num_ws": 0}, "from 1"),
        ({"model_sha256": "x"}, "SHA-256"),
        ({"extra": 1}, "unknown key"),
        ({"format": "other"}, "directions"),
        ({"w_dim": 9}, "must hold vectors"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path, generator, found, change, message):
    path = tmp_path / "a.safetensors"
    found.save(path)
    vectors = torch.stack([one.vector for one in found])
    save_file({"vectors": vectors}, path, metadata={"gen3d": json.dumps(header_of(path) | change)})
    with pytest.raises(CheckpointError, match=message):
        load_directions(path, generator)


def test_vectors_that_cannot_be_are_refused(tmp_path, generator, found):
    path = tmp_path / "a.safetensors"
    found.save(path)
    vectors, header = torch.stack([one.vector for one in found]), {"gen3d": json.dumps(header_of(path))}
    for spoilt, message in ((vectors * float("nan"), "NaN"), (vectors * 3, "unit length"), (vectors.long(), "int64")):
        save_file({"vectors": spoilt}, path, metadata=header)
        with pytest.raises(CheckpointError, match=message):
            load_directions(path, generator)
    save_file({"vectors": vectors}, path)
    with pytest.raises(CheckpointError, match="is no file of directions"):
        load_directions(path, generator)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CheckpointError, match="cut short"):
        load_directions(path, generator)
    with pytest.raises(NotFoundError, match="there is no file"):
        load_directions(tmp_path / "none.safetensors", generator)
    with pytest.raises(InputError, match=r"name it \.safetensors"):
        found.save(tmp_path / "a.json")
