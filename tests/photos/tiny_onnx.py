"""ONNX files of a few bytes, written field by field: a network whose map is the mean of its channels, and others."""

FLOAT = 1


def _number(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _field(number, content):
    """A field of a protocol buffer: a number, a text or a message."""
    if isinstance(content, int):
        return _number(number << 3) + _number(content)
    content = content.encode() if isinstance(content, str) else content
    return _number(number << 3 | 2) + _number(len(content)) + content


def _tensor(name, shape):
    dims = b"".join(_field(1, _field(1, side) if isinstance(side, int) else _field(2, side)) for side in shape)
    kind = _field(1, _field(1, FLOAT) + _field(2, dims))
    return _field(1, name) + _field(2, kind)


def _ints(name, values):
    return _field(5, _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7))


def network(shape=(1, 3, 64, 64), *, axes=(1,), inputs=("picture",)):
    """A network that averages its (first) input over axes and keeps them."""
    node = _field(1, inputs[0]) + _field(2, "map") + _field(3, "n") + _field(4, "ReduceMean") + _ints("axes", axes)
    reduced = [1 if index in axes else side for index, side in enumerate(shape)]
    graph = _field(1, node) + _field(2, "g")
    graph += b"".join(_field(11, _tensor(name, shape)) for name in inputs) + _field(12, _tensor("map", reduced))
    return _field(1, 7) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
