"""`gen3d align`: a photo of a face in, the crop and the label of published face generators out; `invert --align`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import gen3d_tools as g3
from gen3d_tools.cameras.formats import read_eg3d_labels
from gen3d_tools.errors import MissingDependencyError
from gen3d_tools.inversion.pti import Inversion
from gen3d_tools.media.images import read_image
from gen3d_tools.perception.faces.face import Face
from gen3d_tools.workflows import align as workflow
from gen3d_tools.workflows.invert.faces import load_faces
from gen3d_tools.workflows.running.reporting import Reporter

POINTS = [[204, 102], [247, 104], [224, 130], [202, 140], [245, 142]]
TYPED = ",".join(str(value) for place in POINTS for value in place)
FILES = ["dataset.json", "face.landmarks.json", "face.png", "overview.png", "run.json"]


@pytest.fixture
def photo(gen3d, tmp_path):
    """The astronaut, whose five points are known."""
    Image.fromarray(data.astronaut()).save(tmp_path / "face.png")
    return "face.png"


class Detector:
    """Finds what it was told to."""

    name = "mtcnn"

    def __init__(self, *faces):
        self.faces = list(faces)

    def __call__(self, rgb):
        return self.faces


def face(scale=1.0, left=0.0):
    points = torch.tensor(POINTS, dtype=torch.float32) * scale + torch.tensor([left, 0.0])
    return Face(points, (0.0, 0.0, 88 * scale, 113 * scale), 0.99)


def detect(monkeypatch, *faces):
    monkeypatch.setattr(workflow, "find_detector", lambda: Detector(*faces))


@pytest.mark.slow
def test_a_face_becomes_a_crop_and_a_label_that_camera_reads(gen3d, photo, monkeypatch):
    detect(monkeypatch, face())
    done = gen3d("align", photo, "-o", "out")
    assert done.code == 0, done.err
    assert done.paths == ["out"]
    assert "Next: gen3d invert out/face.png --model MODEL --camera out/dataset.json" in done.err
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    assert read_image("out/face.png").shape == (3, 512, 512)
    names, camera = read_eg3d_labels("out/dataset.json")
    assert names == ["face.png"]
    assert float(camera[0].position.norm()) == pytest.approx(2.7, abs=1e-4)
    record = json.loads(Path("out/run.json").read_text())["details"]["faces"]["face"]
    assert record["yaw_deg"] == pytest.approx(0, abs=5)
    assert record["roll_deg"] == pytest.approx(2, abs=3)
    again = gen3d("align", photo, "-o", "again", "--landmarks", "out/face.landmarks.json", "-q")
    assert again.code == 0, again.err
    assert Path("again/face.png").read_bytes() == Path("out/face.png").read_bytes()
    typed = gen3d("align", photo, "-o", "a typed one", "--landmarks", TYPED, "--preset", "square")
    assert "Next: gen3d invert 'a typed one/face.png' --model MODEL\n" in typed.err
    assert typed.code == 0, typed.err
    assert not Path("a typed one/dataset.json").exists()


def test_several_faces_are_said_and_one_is_chosen(gen3d, photo, monkeypatch):
    detect(monkeypatch, face(), face(0.6, left=20.0))
    largest = gen3d("align", photo, "-o", "one")
    assert "face.png: there are 2 faces; the largest is taken, --face 2 is the next" in largest.err
    assert gen3d("align", photo, "-o", "two", "--face", 2, "-q").code == 0
    chosen = json.loads(Path("two/face.landmarks.json").read_text())["points"]["left_eye"]
    assert chosen == pytest.approx([204 * 0.6 + 20, 102 * 0.6], abs=0.01)
    beyond = gen3d("align", photo, "-o", "three", "--face", 3, "-q")
    assert beyond.code == 2
    assert "there are 2 faces in face.png; --face must lie in 1..2" in beyond.error


def test_of_several_photos_those_without_a_face_are_named_at_the_end(gen3d, photo, monkeypatch):
    Image.new("RGB", (64, 64), "white").save("white.png")
    monkeypatch.setattr(workflow, "find_detector", lambda: lambda_detector)
    shutil.copy(photo, "other.png")
    done = gen3d("align", photo, "white.png", "other.png", "-o", "out", "-q")
    assert done.code == 7
    assert "1 failed: white.png" in done.error
    assert [name for name, _ in json.loads(Path("out/dataset.json").read_text())["labels"]] == ["face.png", "other.png"]


def test_the_crop_of_a_photo_called_overview_lies_beside_the_overview(gen3d, photo, monkeypatch):
    detect(monkeypatch, face())
    shutil.copy(photo, "overview.png")
    done = gen3d("align", "overview.png", "-o", "out", "-q")
    assert done.code == 0, done.err
    made = {path.name for path in Path("out").iterdir()}
    assert {"overview.png", "overview-2.png", "overview-2.landmarks.json"} <= made
    assert read_image("out/overview-2.png").shape == (3, 512, 512)


def lambda_detector(rgb):
    return [face()] if rgb.shape[-1] > 64 else []


lambda_detector.name = "mtcnn"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.png"], 3, "no photo at nowhere.png"),
        (["words.txt"], 2, "not a picture"),
        (["white.png"], 3, "no face was found in white.png by mtcnn; turn it upright"),
        (["face.png", "--landmarks", "1,2,3"], 2, "write ten numbers"),
        (["face.png", "--landmarks", "nowhere.json"], 3, "no landmarks file at nowhere.json"),
        (["face.png", "--landmarks", TYPED.replace("204,102", "604,102")], 2, "left_eye lies at 604, 102, outside"),
        (["face.png", "--landmarks", TYPED.replace("247,104", "204,102")], 2, "are the same point"),
        (["face.png", "--landmarks", "247,104,204,102,224,130,245,142,202,140"], 2, "the landmarks are mirrored"),
        (["face.png", "--landmarks", "other.json"], 2, "belong to a photo of 100 x 100 pixels, face.png has 512 x 512"),
        (["face.png", "--landmarks", TYPED, "--face", "1"], 2, "leave --face out"),
        (["face.png", "face.png", "--landmarks", TYPED], 2, "are those of one photo, 2 are given"),
        (["face.png", "--face", "0"], 2, "1 is the largest face"),
        (["face.png", "--preset", "ffhq"], 2, "choose from eg3d-ffhq, panohead, square"),
        (["face.png", "-o", "face.png"], 2, "exists already"),
    ],
)
def test_what_cannot_be_aligned_is_said_in_one_line_and_leaves_nothing(
    gen3d, photo, leftovers, monkeypatch, arguments, code, words
):
    monkeypatch.setattr(workflow, "find_detector", lambda: lambda_detector)
    Path("words.txt").write_text("these are words")
    Path("other.json").write_text(json.dumps({"points": POINTS, "size": [100, 100]}))
    Image.new("RGB", (64, 64), "white").save("white.png")
    before = leftovers()
    out = [] if "-o" in arguments else ["-o", "out"]
    done = gen3d("align", *arguments, *out, "-q")
    assert done.code == code, done.err
    assert words in done.error
    assert leftovers() == before


def test_without_a_detector_the_message_says_how_to_get_one(gen3d, photo, leftovers, monkeypatch):
    def missing():
        raise MissingDependencyError("no face detector is here; run: pip install")

    monkeypatch.setattr(workflow, "find_detector", missing)
    before = leftovers()
    done = gen3d("align", photo, "-o", "out", "-q")
    assert done.code == 5
    assert "no face detector" in done.error
    assert leftovers() == before
    dry = gen3d("align", photo, "-o", "out", "--landmarks", TYPED, "--dry-run", "-q")
    assert (dry.code, dry.paths) == (0, ["out"])
    assert leftovers() == before


def test_a_small_face_is_said(gen3d, photo):
    Image.fromarray(data.astronaut()).resize((256, 256)).save("small.png")
    half = ",".join(str(value / 2) for place in POINTS for value in place)
    assert "the face is only about 43 pixels wide" in gen3d("align", "small.png", "--landmarks", half, "-o", "out").err


def test_invert_takes_the_label_by_the_photo_s_name(gen3d, photo, leftovers, tiny_folder):
    shutil.copytree(tiny_folder, "tiny")
    assert gen3d("align", photo, "--landmarks", TYPED, "-o", "out", "-q").code == 0
    content = json.loads(Path("out/dataset.json").read_text())
    content["labels"].insert(0, ["first.png", [0.0] * 25])
    content["labels"][0][1] = g3.Camera.from_spherical(90.0, 0.0, 2.7, fov_y_deg=20.0).to_eg3d_label().tolist()
    Path("labels.json").write_text(json.dumps(content))
    known = ("--class", "cube", "--model", "tiny", "--background", "none", "-o", "result", "--dry-run", "-q")
    assert gen3d("invert", "out/face.png", "--camera", "labels.json", *known).code == 0
    shutil.copy("out/face.png", "stranger.png")
    before = leftovers()
    other = gen3d("invert", "stranger.png", "--camera", "labels.json", *known)
    assert other.code == 2
    assert "labels.json has no label for stranger.png; its labels belong to first.png, face.png" in other.error
    assert leftovers() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--landmarks", TYPED], "add --align"),
        (["--level"], "add --align"),
        (["--align", "--mask", "face.png"], "leave one of them out"),
        (["--align", "--landmarks", "1,2"], "write ten numbers"),
    ],
)
def test_invert_refuses_words_about_a_face_that_do_not_fit(gen3d, photo, tiny_folder, leftovers, arguments, words):
    shutil.copytree(tiny_folder, "tiny")
    before = leftovers()
    done = gen3d("invert", photo, "--model", "tiny", *arguments, "-o", "result", "-q")
    assert done.code == 2
    assert words in done.error
    assert leftovers() == before


@pytest.mark.slow
def test_a_model_with_the_labels_cameras_starts_from_the_crop_s_camera_and_moves_on(photo, tiny_generator, monkeypatch):
    options = workflow.FaceOptions(landmarks=TYPED)
    crops, camera = load_faces([Path(photo)], options, "auto", tiny_generator, Reporter())
    assert camera is None  # its own cameras are others: a crop alone
    labelled = g3.Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=float(np.degrees(2 * np.arctan(0.5 / 4.2647))))
    monkeypatch.setattr(type(tiny_generator), "default_camera", lambda self: labelled)
    crops, camera = load_faces([Path(photo)], options, "auto", tiny_generator, Reporter())
    assert len(camera) == 1
    assert float(crops[0].mask.min()) == 1
    settings = g3.InversionSettings().changed(steps1=1, steps2=1, search_starts=1, resolution=16)
    for refine in (False, True):
        work = Inversion(
            tiny_generator, crops, camera=camera, refine_camera=refine, class_name="cube", settings=settings
        )
        start = work.find_start()
        torch.testing.assert_close(start.camera.cam2world, camera[0].cam2world)
        assert work.first_stage().fit.offsets.requires_grad == refine
