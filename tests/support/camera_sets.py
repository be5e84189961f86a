"""Cameras written with pictures that are not there: sizes and names for tests that are about neither."""

from gen3d_tools.cameras import colmap, formats


def write_transforms(path, cameras, *, width=512, height=512, names=None, overwrite=False):
    names = [f"images/{index:04d}.png" for index in range(_count(cameras))] if names is None else names
    formats.write_transforms(path, cameras, width=width, height=height, names=names, overwrite=overwrite)


def write_colmap(folder, cameras, *, width=512, height=512, names=None, overwrite=False):
    names = [f"{index:04d}.png" for index in range(_count(cameras))] if names is None else names
    colmap.write_colmap(folder, cameras, width=width, height=height, names=names, overwrite=overwrite)


def _count(cameras):
    return cameras.batch_shape[0] if cameras.batch_shape else 1
