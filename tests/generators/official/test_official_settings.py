"""Settings of published pickles may say anything: the generator is built, or refused in one line, at once."""

import copy
import logging
import math
import random
import time
from dataclasses import replace

import pytest
import torch

from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.official.load import generator_from_model
from tests.support.official_models import eg3d_bytes, recorded_bytes
from tests.support.stylenerf_generators import official_name, stylenerf_bytes

COUNT = 80
STRANGE = [
    *(None, True, "", "x", "auto", "uniform", [], {}, [1], {"a": 1}, [[1]] * 3, [0.0] * 3),
    *(0, 1, 2, 3, -1, 7, 64, 10**6, 2**40, 2**70, 0.0, 0.5, -3.7, 1e308, math.nan, math.inf, -math.inf),
]


@pytest.fixture(scope="module", params=["eg3d", "epigraf", "threedgp", "stylenerf"])
def model(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / f"{request.param}.pkl"
    own = {"eg3d": eg3d_bytes, "stylenerf": stylenerf_bytes}
    path.write_bytes(own[request.param]() if request.param in own else recorded_bytes(request.param))
    return read_official(path)


def places(values, path=()):
    """Every place in nested tables and lists that a value can be put in."""
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(values, source):
    """Replace or remove one setting; the tables that a reader gives are tables whatever the file says."""
    values = copy.deepcopy(values)
    deep = [place for place in places(values) if len(place) >= 2 + (place[0] == "attributes")]
    *path, last = source.choice(deep)
    table = values
    for key in path:
        table = table[key]
    if source.random() < 0.15:
        table.pop(last)
    else:
        table[last] = source.choice(STRANGE)
    return values


def test_the_model_itself_loads(model):
    assert generator_from_model(model).num_parameters() > 0


@pytest.mark.slow
def test_strange_settings_are_taken_or_refused_in_one_line(model, caplog, few_mean_cameras):
    caplog.set_level(logging.ERROR)
    source = random.Random(0)
    settings = {"init_kwargs": model.init_kwargs, "attributes": model.attributes, "config": model.config}
    built = refused = 0
    for _ in range(COUNT):
        strange = changed({name: value for name, value in settings.items() if value}, source)
        started = time.perf_counter()
        try:
            generator_from_model(replace(model, **{name: strange.get(name, {}) for name in settings}))
            built += 1
        except CheckpointError as error:
            refused += str(error).isprintable()
        assert time.perf_counter() - started < 10, strange
    assert built + refused == COUNT
    assert refused > COUNT / 6


def test_tensors_are_taken_over_bit_for_bit_and_only_constants_are_left_out(model):
    found = {official_name(name): tensor for name, tensor in generator_from_model(model).state_dict().items()}
    assert found.keys() <= model.tensors.keys()
    assert all(torch.equal(found[name], model.tensors[name]) for name in found)
    constants = ("alpha", "resample_filter", "fourier_coefs", "mean_camera_pose", "mean_camera_params", "progress_coef")
    assert all(name.endswith(constants) for name in model.tensors.keys() - found.keys())
