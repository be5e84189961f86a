"""A small rasteriser of Gaussian splats, from the mathematics: EWA splatting (Zwicker et al. 2001), front to back.

A Gaussian with covariance S = R diag(s)^2 R^T at the point p in the camera's frame is seen, to first order around p,
as a Gaussian in the picture with covariance C = J W S W^T J^T: W turns the world into the camera's frame, and J is the
derivative of (x, y, z) -> (fx x / z + cx, fy y / z + cy) at p. A pixel sees the mean over its square, which is much
like a Gaussian of the same variance, 1/12 along each side; the convolution of both has the covariance C' = C + I/12
and, as the integral stays, a peak that is lower by sqrt(det C / det C'). What a disc of opacity o stops at the
distance d is then o sqrt(det C / det C') exp(-d^T C'^-1 d / 2), at most 0.99.
"""

import numba
import numpy as np
import torch

PIXEL_VARIANCE = 1 / 12
MOST_OPAQUE = 0.99
INVISIBLE = 1 / 255


def read_splats(path):
    """Read the .ply as any reader of the format does, by the names in its header."""
    data = path.read_bytes()
    head, body = data.split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    count = int(lines[2].removeprefix("element vertex "))
    names = [line.split()[-1] for line in lines[3:]]
    assert all(line.startswith("property float ") for line in lines[3:])
    rows = np.frombuffer(body, "<f4").reshape(count, len(names)).astype(np.float64)
    return dict(zip(names, rows.T, strict=True))


def draw_splats(splats, camera, size, background=1.0):
    """Draw the columns of a file as `read_splats` gives them: a picture [3, size, size]."""
    column = lambda *names: np.stack([splats[name] for name in names], 1)  # noqa: E731
    centers = column("x", "y", "z")
    colors = 0.5 + 0.28209479177387814 * column("f_dc_0", "f_dc_1", "f_dc_2")
    opacities = 1 / (1 + np.exp(-splats["opacity"]))
    axes = (
        matrices(column("rot_0", "rot_1", "rot_2", "rot_3")) * np.exp(column("scale_0", "scale_1", "scale_2"))[:, None]
    )
    cam2world = camera.cam2world.double().numpy()
    lens = camera.intrinsics.double().numpy() * size
    turn = cam2world[:3, :3].T
    x, y, z = ((centers - cam2world[:3, 3]) @ turn.T).T
    zero = np.zeros_like(z)
    across = np.stack([lens[0, 0] / z, zero, -lens[0, 0] * x / z**2], 1)
    down = np.stack([zero, lens[1, 1] / z, -lens[1, 1] * y / z**2], 1)
    seen = np.stack([across, down], 1) @ turn @ axes
    exact = seen @ seen.transpose(0, 2, 1)
    blurred = exact + PIXEL_VARIANCE * np.eye(2)
    peaks = opacities * np.sqrt(np.linalg.det(exact).clip(0) / np.linalg.det(blurred))
    places = np.stack([lens[0, 0] * x / z + lens[0, 2], lens[1, 1] * y / z + lens[1, 2]], 1)
    order = np.argsort(z, kind="stable")
    picture = blend(places[order], blurred[order], peaks[order], colors[order], size, background)
    return torch.from_numpy(picture).permute(2, 0, 1).clamp(0, 1)


def matrices(quaternions):
    """Rotation matrices of quaternions w x y z, of any length."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, 1) for row in rows], 1)


@numba.njit
def blend(places, covariances, peaks, colors, size, background):
    picture = np.zeros((size, size, 3))
    left = np.ones((size, size))
    for k in range(len(places)):
        a, b, c = covariances[k, 0, 0], covariances[k, 0, 1], covariances[k, 1, 1]
        reach_x, reach_y = 3.5 * np.sqrt(a), 3.5 * np.sqrt(c)
        for row in range(max(0, int(places[k, 1] - reach_y)), min(size, int(places[k, 1] + reach_y) + 1)):
            for col in range(max(0, int(places[k, 0] - reach_x)), min(size, int(places[k, 0] + reach_x) + 1)):
                dx, dy = col + 0.5 - places[k, 0], row + 0.5 - places[k, 1]
                power = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / (a * c - b * b)  # d^T C'^-1 d
                stopped = min(MOST_OPAQUE, peaks[k] * np.exp(-0.5 * power))
                if stopped >= INVISIBLE:
                    for channel in range(3):
                        picture[row, col, channel] += left[row, col] * stopped * colors[k, channel]
                    left[row, col] *= 1 - stopped
    for row in range(size):
        for col in range(size):
            for channel in range(3):
                picture[row, col, channel] += left[row, col] * background
    return picture
