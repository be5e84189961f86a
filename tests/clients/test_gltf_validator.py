"""Khronos' glTF validator has nothing to say against our .glb and .gltf files."""

import pytest

from tests.clients.conftest import HERE, program


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
@pytest.mark.parametrize("kind", ["colored", "textured", "plain"])
@pytest.mark.parametrize("options", [{}, {"up": "z"}, {"scale": 0.2, "center": True}], ids=["y up", "z up", "scaled"])
def test_no_errors_and_no_warnings(written, packages, answer_of, suffix, kind, options):
    node = program("node", "on Debian: apt-get install nodejs npm")
    report = answer_of(node, HERE / "validate.cjs", written(kind, suffix, **options))
    issues = report["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
    assert report["info"]["totalTriangleCount"] > 1000
