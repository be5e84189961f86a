"""`gen3d convert`, and every command with the pickle itself."""

import json
from pathlib import Path

import imageio.v3 as imageio
import pytest
import torch

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.errors import InputError
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.workflows.convert import read_class_names
from tests.support.official_models import KWARGS, eg3d_bytes, eg3d_tensors, recorded_bytes
from tests.support.official_pickles import official_bytes
from tests.support.pickle_nodes import Global, Instance, Layout

FAST = ("--size", 16)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "tiny128-8.pkl"
    path.write_bytes(eg3d_bytes())
    return path


@pytest.mark.slow
def test_tensors_go_from_the_pickle_to_the_folder_bit_for_bit(gen3d, published):
    result = gen3d("convert", published, "-o", "models/tiny")
    assert (result.code, result.paths) == (0, ["models/tiny"]), result.err
    found = load_generator("models/tiny").state_dict()
    assert found.keys() == {name for name in eg3d_tensors() if not name.endswith("resample_filter")}
    official = read_official(published).tensors
    assert all(torch.equal(found[name], official[name]) for name in found)


@pytest.mark.slow
def test_the_folder_says_where_it_comes_from_and_whose_licence_it_has(gen3d, published):
    gen3d("convert", published, "-o", "tiny")
    config = json.loads(Path("tiny/config.json").read_text())
    digest = read_official(published).sha256
    assert config["licence"] == "NVIDIA Source Code License (non-commercial)"
    assert config["provenance"]["sha256"] == digest
    assert config["provenance"]["file"] == published.name
    card = Path("tiny/README.md").read_text()
    assert digest in card
    assert "NVIDIA Source Code License" in card


@pytest.mark.slow
def test_json_is_one_object(gen3d, published):
    record = gen3d("convert", published, "-o", "tiny", "--json").json
    assert record["outputs"] == ["tiny"]
    assert record["details"]["licence"].startswith("NVIDIA")
    assert record["details"]["provenance"]["sha256"] == read_official(published).sha256


@pytest.mark.slow
def test_pictures_are_the_same_before_and_after(gen3d, published):
    assert gen3d("convert", published, "-o", "tiny").code == 0
    for model, out in ((published, "before.png"), ("tiny", "after.png")):
        assert gen3d("sample", model, "--seeds", 3, "-o", out, *FAST).code == 0
    assert (imageio.imread("before.png") == imageio.imread("after.png")).all()


@pytest.mark.slow
def test_info_knows_a_pickle_as_it_knows_the_folder(gen3d, published):
    gen3d("convert", published, "-o", "tiny")
    of_pickle, of_folder = (gen3d("info", model, "--json").json for model in (published, "tiny"))
    same = ("family", "parameters", "network", "rendering", "cameras", "iso_level", "class_names", "licence")
    assert all(of_pickle[key] == of_folder[key] for key in same)
    assert of_pickle["sha256"] == of_folder["provenance"]["sha256"]
    text = gen3d("info", published).out
    assert "eg3d" in text
    assert "NVIDIA" in text


@pytest.mark.slow
def test_a_pickle_is_a_model_for_other_commands_too(gen3d, published):
    assert gen3d("classes", published, "--json").json["classes"] == []
    mesh = gen3d("mesh", published, "--resolution", 32, "--level", 0.63, "-o", "x.ply")
    assert mesh.code == 0, mesh.err
    record = gen3d("sample", published, "-o", "x.png", "--json", *FAST).json
    assert record["model_sha256"] == read_official(published).sha256


@pytest.mark.slow
def test_unknown_contents_are_refused_unless_allowed(gen3d, tmp_path):
    extra = {"": {"extra": Instance(Global("fork.modules", "Sparkle"), state={"x": 1})}}
    (tmp_path / "fork.pkl").write_bytes(eg3d_bytes(attributes=extra))
    refused = gen3d("convert", "fork.pkl", "-o", "fork")
    assert refused.code == 4
    assert "fork.modules.Sparkle" in refused.error
    allowed = gen3d("convert", "fork.pkl", "-o", "fork", "--allow-unknown")
    assert allowed.code == 0
    assert "fork.modules.Sparkle was replaced by an inert placeholder" in " ".join(allowed.err.split())


@pytest.mark.slow
def test_an_existing_model_is_kept_unless_overwritten_and_other_folders_always(gen3d, published):
    gen3d("convert", published, "-o", "tiny")
    assert gen3d("convert", published, "-o", "tiny").code == 2
    assert gen3d("convert", published, "-o", "tiny", "--overwrite").code == 0
    Path("photos").mkdir()
    Path("photos/precious.png").write_text("x")
    refused = gen3d("convert", published, "-o", "photos", "--overwrite")
    assert refused.code == 2
    assert "precious.png), so it stays" in refused.error
    assert Path("photos/precious.png").exists()


def test_a_model_that_reads_back_differently_is_not_reported_as_converted(gen3d, published, monkeypatch, leftovers):
    from gen3d_tools.workflows import convert as workflow

    def spoiled(*arguments, **options):
        generator = load_generator(*arguments, **options)
        generator.backbone.mapping.w_avg[0] += 1e-3
        return generator

    monkeypatch.setattr(workflow, "load_generator", spoiled)
    result = gen3d("convert", published, "-o", "tiny", "-q")
    assert result.code == 4
    assert "does not hold what was read" in result.error
    assert leftovers() == []


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        ("cat\ndog\n", 2, "got 2 class names, the model has 0 classes"),
        ("", 2, "holds no names"),
        (None, 3, "no file names.txt"),
    ],
)
def test_class_names_must_fit(gen3d, published, names, code, message):
    if names is not None:
        Path("names.txt").write_text(names)
    result = gen3d("convert", published, "-o", "tiny", "--class-names", "names.txt")
    assert result.code == code
    assert message in result.error
    assert not Path("tiny").exists()


@pytest.mark.parametrize("text", ["{}", "[1, 2]", "[", '"a"'])
def test_a_json_file_of_class_names_must_be_a_list_of_names(gen3d, published, text):
    Path("names.json").write_text(text)
    result = gen3d("convert", published, "-o", "tiny", "--class-names", "names.json")
    assert result.code == 2
    assert "names.json" in result.error


@pytest.mark.parametrize("suffix", [".txt", ".json"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, suffix):
    path = tmp_path / f"names{suffix}"
    text = '["mug", "car"]' if suffix == ".json" else "mug\r\ncar\r\n"
    path.write_text(text, encoding="utf-8-sig")
    assert read_class_names(path) == ("mug", "car")
    path.write_text(text, encoding="utf-16")
    with pytest.raises(InputError, match="it is UTF-16 text"):
        read_class_names(path)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["epigraf", "threedgp"])
def test_class_names_replace_the_numbers(gen3d, family):
    Path("classes.pkl").write_bytes(recorded_bytes(family, classes=True))
    numbers = [line["name"] for line in gen3d("classes", "classes.pkl", "--json").json["classes"]]
    assert numbers == [str(index) for index in range(len(numbers))]
    names = [f"thing {index}" for index in range(len(numbers))]
    Path("names.json").write_text(json.dumps(names))
    assert gen3d("convert", "classes.pkl", "-o", "named", "--class-names", "names.json").code == 0
    assert load_generator("named").class_names == tuple(names)
    assert gen3d("sample", "named", "--class", "thing 1", "-o", "x.png", *FAST).code == 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: b"", "empty"),
        (lambda data: b"<html>", "no pickle"),
        (lambda data: data.replace(b"dnnlib.util", b"posixpath.x"), "posixpath.x.EasyDict"),
    ],
)
def test_broken_files_get_one_line_and_leave_nothing(gen3d, published, spoil, message):
    Path("broken.pkl").write_bytes(spoil(published.read_bytes()))
    for command in (("convert", "broken.pkl", "-o", "tiny"), ("sample", "broken.pkl"), ("info", "broken.pkl")):
        result = gen3d(*command)
        assert result.code == 4
        assert message in result.error
    assert [path.name for path in Path().iterdir()] == ["broken.pkl"]


def test_a_network_that_lacks_a_part_is_refused_by_the_parts_name(gen3d):
    tensors = eg3d_tensors()
    del tensors["superresolution.block0.conv0.weight"]
    Path("partial.pkl").write_bytes(official_bytes("eg3d", KWARGS, tensors, layout=Layout(only_ema=True)))
    result = gen3d("convert", "partial.pkl", "-o", "tiny")
    assert result.code == 4
    assert "superresolution.block0.conv0.weight is missing" in result.error


def test_a_network_of_a_hundred_thousand_layers_is_refused_before_it_is_built(gen3d):
    deep = KWARGS | {"mapping_kwargs": KWARGS["mapping_kwargs"] | {"num_layers": 100_000}}
    Path("deep.pkl").write_bytes(official_bytes("eg3d", deep, eg3d_tensors(), layout=Layout(only_ema=True)))
    result = gen3d("info", "deep.pkl")
    assert result.code == 4
    assert "mapping_layers is 100000" in result.error


def test_other_sources_are_refused(gen3d, tiny_folder):
    assert gen3d("convert", "nothing.pkl", "-o", "x").code == 3
    folder = gen3d("convert", tiny_folder, "-o", "x")
    assert folder.code == 2
    assert "need no conversion" in folder.error
    assert gen3d("convert", "x.pkl").code == 2
