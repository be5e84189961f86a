"""Writes pickles laid out as the official training code lays out its snapshots, without any of that code.

Classes of the original repositories appear by name only, and the source text that real files carry is empty.
`official_bytes` gives a whole snapshot; the node types below it let a test compose a file of its own.

    data = official_bytes("eg3d", init_kwargs, tensors, attributes={"": {"neural_rendering_resolution": 64}})
    path.write_bytes(data)
"""

import io
import pickle
import re
import struct
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

PERSISTENCE = {"eg3d": "torch_utils.persistence", "epigraf": "src.torch_utils.persistence"}
PERSISTENCE["threedgp"] = PERSISTENCE["epigraf"]
EASY_DICT = {"eg3d": "dnnlib.util", "epigraf": "src.dnnlib.util", "threedgp": "src.dnnlib.util"}
BUFFERS = re.compile(
    r"(^|\.)(resample_filter|noise_const|w_avg|mean_camera_pose|mean_camera_params|fourier_coefs|progress_coef|dataset_label_std)$"
)
STORAGE_NAMES = {
    torch.float32: "FloatStorage",
    torch.float64: "DoubleStorage",
    torch.float16: "HalfStorage",
    torch.bfloat16: "BFloat16Storage",
    torch.int64: "LongStorage",
    torch.int32: "IntStorage",
    torch.int16: "ShortStorage",
    torch.int8: "CharStorage",
    torch.uint8: "ByteStorage",
    torch.bool: "BoolStorage",
}


@dataclass(frozen=True, eq=False)
class Global:
    """A name the stream refers to. It need not exist here."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """`function(*arguments)` (REDUCE), then items (SETITEMS) and a state (BUILD) if there are any."""

    function: object
    arguments: tuple
    entries: Mapping = field(default_factory=dict)
    state: object = None


@dataclass(eq=False)
class Instance:
    """An object made without its constructor (NEWOBJ), then filled."""

    kind: Global
    entries: Mapping = field(default_factory=dict)
    state: object = None
    arguments: tuple = ()


@dataclass(eq=False)
class PersistentId:
    """An object named by a persistent id (BINPERSID)."""

    value: object


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a snapshot is laid out, beyond what it says."""

    protocol: int = 4
    location: str = "cpu"  # "cuda:0" as training processes write it
    channels_last: bool = False  # strides of the weights with four axes
    only_ema: bool = False  # stripped file: G_ema alone
    dill: bool = False  # saved again with dill
    imported_module: bool = False  # saved again by a network that was itself rebuilt from a pickle
    config_as: str = "omegaconf"  # "omegaconf" | "easydict" | "dict"
    omit_non_persistent_set: bool = False  # as very old torch did


class OfficialPickler(pickle._Pickler):
    """The standard pickler, plus names that do not exist here and tensors in nested legacy streams."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def __init__(self, file, layout: Layout) -> None:
        super().__init__(file, layout.protocol)
        self.layout = layout
        self.nodes: dict[int, tuple[object, Call]] = {}  # by id of what they stand for, which is kept alive with them

    def persistent_id(self, value):
        return value.value if isinstance(value, PersistentId) else None

    def save_name(self, node: Global) -> None:
        if self.proto >= 4:
            self.save(node.module)
            self.save(node.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{node.module}\n{node.name}\n".encode())
        self.memoize(node)

    def save_call(self, node: Call) -> None:
        self.save(node.function)
        self.save(node.arguments)
        self.write(pickle.REDUCE)
        self.finish(node)

    def save_instance(self, node: Instance) -> None:
        self.save(node.kind)
        self.save(node.arguments)
        self.write(pickle.NEWOBJ)
        self.finish(node)

    def finish(self, node: Call | Instance) -> None:
        self.memoize(node)
        if node.entries:
            self._batch_setitems(node.entries.items())
        if node.state is not None:
            self.save(node.state)
            self.write(pickle.BUILD)

    def save_tensor(self, tensor: Tensor) -> None:
        if id(tensor) not in self.nodes:
            self.nodes[id(tensor)] = tensor, tensor_node(tensor, self.layout)
        self.save(self.nodes[id(tensor)][1])

    def save_type(self, kind: type) -> None:
        if not self.layout.dill or kind.__module__ != "builtins":
            return self.save_global(kind)
        if id(kind) not in self.nodes:
            self.nodes[id(kind)] = kind, Call(Global("dill._dill", "_load_type"), (kind.__name__,))
        return self.save(self.nodes[id(kind)][1])

    dispatch[Global] = save_name
    dispatch[Call] = save_call
    dispatch[Instance] = save_instance
    dispatch[Tensor] = save_tensor
    dispatch[torch.nn.Parameter] = save_tensor
    dispatch[type] = save_type


def dumps(node: object, layout: Layout | None = None) -> bytes:
    """Pickle a tree of plain values, tensors and the node types above."""
    file = io.BytesIO()
    OfficialPickler(file, layout or Layout()).dump(node)
    return file.getvalue()


def tensor_node(tensor: Tensor, layout: Layout) -> Call:
    """Lay out one tensor: a parameter around a view of a storage, which is a nested stream."""
    values = tensor.detach()
    if layout.channels_last and values.ndim == 4:
        values = values.contiguous(memory_format=torch.channels_last)
    flat = torch.as_strided(values, (values.untyped_storage().nbytes() // values.itemsize,), (1,), 0)
    storage = Call(Global("torch.storage", "_load_from_bytes"), (storage_blob(flat, layout.location),))
    view = (storage, values.storage_offset(), tuple(values.shape), values.stride(), False, OrderedDict())
    node = Call(Global("torch._utils", "_rebuild_tensor_v2"), view)
    if isinstance(tensor, torch.nn.Parameter):
        return Call(Global("torch._utils", "_rebuild_parameter"), (node, False, OrderedDict()))
    return node


def storage_blob(flat: Tensor, location: str = "cpu", *, count: int | None = None) -> bytes:
    """Write a legacy torch stream that holds one bare storage.

    Args:
        flat: The elements.
        location: Device the storage claims to come from.
        count: Number of elements to declare; None tells the truth.
    """
    count = flat.numel() if count is None else count
    inner = Layout(protocol=2)
    key = "94120453120"
    pid = PersistentId(("storage", Global("torch", STORAGE_NAMES[flat.dtype]), key, location, count, None))
    sizes = {"short": 2, "int": 4, "long": 4}
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}]
    header = b"".join(dumps(part, inner) for part in [*parts, pid, [key]])
    return header + struct.pack("<q", count) + flat.contiguous().view(torch.uint8).numpy().tobytes()


def easy_dict(values: Mapping, family: str = "eg3d") -> Instance:
    """Write a dict as the original's dict with attribute access."""
    return Instance(Global(EASY_DICT[family], "EasyDict"), values)


def persistent(class_name: str, state: dict, family: str = "eg3d", *, source: str = "") -> Call:
    """Write a network of the original code: a call that would rebuild it from its source text."""
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}
    return Call(Global(PERSISTENCE[family], "_reconstruct_persistent_obj"), (meta,))


# Non-persistent classes by path in the network, per family; "" is every family. The rest is persistent.
_ORDINARY = {
    r"renderer": ("training.volumetric_rendering.renderer", "ImportanceRenderer"),
    r"renderer\.ray_marcher": ("training.volumetric_rendering.ray_marcher", "MipRayMarcher2"),
    r"ray_sampler": ("training.volumetric_rendering.ray_sampler", "RaySampler"),
    r"decoder": ("training.triplane", "OSGDecoder"),
    r"decoder\.net": ("torch.nn.modules.container", "Sequential"),
    r"decoder\.net\.1": ("torch.nn.modules.activation", "Softplus"),
    r".*\.(model|main|color_network)": ("torch.nn.modules.container", "Sequential"),
    r".*\.(blocks|layers)": ("torch.nn.modules.container", "ModuleList"),
}
_PERSISTENT = {
    r"backbone": "Generator",
    r"(backbone\.)?mapping": "MappingNetwork",
    r"(backbone\.synthesis|synthesis\.tri_plane_decoder)": "SynthesisNetwork",
    r"synthesis": "SynthesisNetwork",
    r".*\.b\d+": "SynthesisBlock",
    r".*\.b\d+\.conv\d|superresolution\.block\d\.conv\d": "SynthesisLayer",
    r".*torgb": "ToRGBLayer",
    r"superresolution\.block\d": "SynthesisBlock",
    r"synthesis\.tri_plane_mlp": "TriPlaneMLP",
    r"synthesis\.bg_model": "InverseSphereNetwork",
    r"synthesis\.camera_adaptor": "CameraAdaptor",
    r"synthesis\.depth_adaptor": "DepthAdaptor",
}
_ROOT = {"eg3d": "TriPlaneGenerator", "epigraf": "Generator", "threedgp": "Generator"}


def module_node(
    family: str,
    tensors: Mapping[str, Tensor],
    attributes: Mapping[str, Mapping[str, Any]],
    layout: Layout,
    *,
    path: str = "",
    class_names: Mapping[str, str] | None = None,
) -> Call | Instance:
    """Write the module at `path` with its children.

    Args:
        family: "eg3d", "epigraf" or "threedgp".
        tensors: State dict below `path`, keys relative to it.
        attributes: Plain attributes by absolute path.
        layout: Options.
        path: Dotted path of this module; "" is the root.
        class_names: Class names by absolute path, where the family's usual ones do not do.
    """
    children: dict[str, dict[str, Tensor]] = {}
    state: dict[str, Any] = {"training": False, "_parameters": {}, "_buffers": {}}
    if not layout.omit_non_persistent_set:
        state["_non_persistent_buffers_set"] = set()
    state |= {f"_{name}_hooks": OrderedDict() for name in ("backward", "forward", "forward_pre", "state_dict")}
    for key, tensor in tensors.items():
        first, _, rest = key.partition(".")
        if rest:
            children.setdefault(first, {})[rest] = tensor
        elif BUFFERS.search(first):
            state["_buffers"][first] = tensor
        else:
            state["_parameters"][first] = torch.nn.Parameter(tensor, requires_grad=False)
    for name in _children_by_attributes(attributes, path):
        children.setdefault(name, {})
    state["_modules"] = {
        name: module_node(
            family,
            below,
            attributes,
            layout,
            path=f"{path}.{name}".lstrip("."),
            class_names=class_names,
        )
        for name, below in children.items()
    }
    return _wrap(family, path, state | dict(attributes.get(path, {})), layout, class_names or {})


def _children_by_attributes(attributes: Mapping[str, Mapping[str, Any]], path: str) -> list[str]:
    prefix = f"{path}." if path else ""
    below = [other.removeprefix(prefix) for other in attributes if other.startswith(prefix) and other != path]
    return list(dict.fromkeys(name.split(".")[0] for name in below if name))


def _wrap(family: str, path: str, state: dict, layout: Layout, class_names: Mapping[str, str]) -> Call | Instance:
    if path not in class_names:
        for pattern, (module, name) in _ORDINARY.items():
            if re.fullmatch(pattern, path):
                again = layout.imported_module and not module.startswith("torch.")
                return Instance(Global("_imported_module_" + "0a" * 16 if again else module, name), state=state)
    known = [name for pattern, name in _PERSISTENT.items() if re.fullmatch(pattern, path)]
    class_name = class_names.get(path) or (_ROOT[family] if not path else (known or ["FullyConnectedLayer"])[0])
    state = {"_init_args": (), "_init_kwargs": {}} | state
    return persistent(class_name, state, family)


def config_node(config: Mapping[str, Any], family: str, layout: Layout) -> object:
    """Write the node `model.generator` of the whole experiment configuration, with the references of real files.

    Args:
        config: The generator's resolved configuration.
        family: "epigraf" or "threedgp".
        layout: Options.
    """
    generator = dict(config)
    root: dict[str, Any] = {"model": {"generator": generator}, "training": {"name": "${model.name}-${env.user}"}}
    for name, target in (("patch", ("training", "patch")), ("dataset", ("dataset",)), ("camera", ("camera",))):
        if isinstance(generator.get(name), Mapping):
            owner = root["training"] if len(target) == 2 else root
            owner[name], generator[name] = generator[name], f"${{{'.'.join(target)}}}"
    if layout.config_as == "dict":
        return dict(config)
    if layout.config_as == "easydict":
        return easy_dict(config, family)
    if "c_dim" in generator and "c_dim" in root.get("dataset", {}):
        generator["c_dim"] = "${dataset.c_dim}"
    tree = omega_node(root, None)
    return tree.state["_content"]["model"].state["_content"]["generator"]


def omega_node(value: Any, parent: Instance | None) -> Instance:
    """Write plain values as omegaconf 2.0 nodes, children pointing back to their parents."""
    metadata = {"ref_type": object, "object_type": dict, "optional": True, "key": None, "flags": {}}
    if not isinstance(value, Mapping | list | tuple):
        leaf = Instance(Global("omegaconf.base", "Metadata"), state=metadata)
        state = {"_metadata": leaf, "_parent": parent, "_val": value}
        return Instance(Global("omegaconf.nodes", "AnyNode"), state=state)
    types = {"key_type": Global("typing", "Any"), "element_type": Global("typing", "Any")}
    container = Instance(Global("omegaconf.base", "ContainerMetadata"), state=metadata | types)
    node = Instance(Global("omegaconf.listconfig", "ListConfig"), state={"_metadata": container, "_parent": parent})
    if isinstance(value, Mapping):
        node.kind = Global("omegaconf.dictconfig", "DictConfig")
        node.state["_content"] = {key: omega_node(child, node) for key, child in value.items()}
    else:
        node.state["_content"] = [omega_node(child, node) for child in value]
    return node


def generator_node(
    family: str,
    init_kwargs: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    init_args: tuple = (),
    layout: Layout | None = None,
    class_names: Mapping[str, str] | None = None,
) -> Call | Instance:
    """Write one generator network; see `official_bytes`."""
    layout = layout or Layout()
    kwargs = {key: easy_dict(value, family) if isinstance(value, dict) else value for key, value in init_kwargs.items()}
    root = {"_init_args": init_args, "_init_kwargs": easy_dict(kwargs, family), **_usual_root(family, init_kwargs)}
    if config is not None:
        root["cfg"] = config_node(config, family, layout)
    everything = {path: dict(values) for path, values in (attributes or {}).items()}
    if family == "eg3d":
        for path in ("renderer", "renderer.ray_marcher", "ray_sampler", "decoder.net.1"):
            everything.setdefault(path, {})
    everything[""] = root | everything.get("", {})
    return module_node(family, tensors, everything, layout, class_names=class_names)


def _usual_root(family: str, init_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the attributes that the constructors of the original set from their arguments."""
    names = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_ws")
    root = {name: init_kwargs[name] for name in names if name in init_kwargs}
    if family == "eg3d":
        root |= {"neural_rendering_resolution": 64, "_last_planes": None}
        if "rendering_kwargs" in init_kwargs:
            root["rendering_kwargs"] = easy_dict(init_kwargs["rendering_kwargs"])
    return root


def official_bytes(
    family: str,
    init_kwargs: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    init_args: tuple = (),
    layout: Layout | None = None,
    class_names: Mapping[str, str] | None = None,
) -> bytes:
    """Write a whole snapshot.

    Args:
        family: "eg3d", "epigraf" or "threedgp": decides names, not contents.
        init_kwargs: Keyword arguments the root was built with; nested dicts become EasyDicts.
        tensors: The generator's state dict. Which are buffers is known from their names.
        attributes: Live attributes by dotted path, "" is the root, e.g. `{"renderer": {"plane_axes": tensor}}`.
            They replace what the constructor would have set.
        config: The generator's configuration, resolved; it is written with references. None: no `cfg` attribute.
        init_args: Positional arguments the root was built with.
        layout: Options.
        class_names: Class names by dotted path, where the usual ones do not do.
    """
    layout = layout or Layout()
    make = {"attributes": attributes, "config": config, "init_args": init_args, "layout": layout}
    make["class_names"] = class_names
    ema = generator_node(family, init_kwargs, tensors, **make)
    if layout.only_ema:
        return dumps({"G_ema": ema}, layout)
    discriminator = _discriminator(family, layout)
    snapshot: dict[str, Any] = {
        "training_set_kwargs": easy_dict(
            {"class_name": "training.dataset.Dataset", "path": "/data", "use_labels": True}
        ),
        "G": generator_node(family, init_kwargs, {key: value + 1 for key, value in tensors.items()}, **make),
        "D": discriminator,
        "G_ema": ema,
        "augment_pipe": None,
    }
    if family != "eg3d":
        snapshot |= _training_state(next(iter(tensors.values())))
    return dumps(snapshot, layout)


def _discriminator(family: str, layout: Layout) -> Call | Instance:
    weights = {"b4.conv.weight": torch.ones(4, 4, 3, 3), "b4.fc.bias": torch.zeros(4)}
    if family == "threedgp":
        state = {"_parameters": {}, "_buffers": {}, "_modules": {}, "gain": np.float64(1.5)}
        return Instance(Global("src.training.networks_discriminator", "Discriminator"), state=state)
    names = {"": "DualDiscriminator", "b4": "DiscriminatorEpilogue", "b4.conv": "Conv2dLayer"}
    return module_node(family, weights, {"": {"gain": np.float64(2**0.5)}}, layout, class_names=names)


def _training_state(parameter: Tensor) -> dict[str, Any]:
    """Give what the EpiGRAF code base keeps beside the networks: optimisers, pictures, counters."""
    moments = defaultdict(dict, {torch.nn.Parameter(parameter): {"step": 3, "exp_avg": parameter * 0}})
    optimiser = {"state": moments, "defaults": {"lr": 0.002, "betas": (0.0, 0.99)}, "param_groups": []}
    return {
        "G_opt": Instance(Global("torch.optim.adam", "Adam"), state=optimiser),
        "vis": {
            "grid_size": (np.int64(2), np.int64(1)),
            "labels": np.zeros((2, 0), np.float32),
            "grid_z": (torch.zeros(1, 4), torch.zeros(1, 4)),
        },
        "stats": {"cur_nimg": 1000, "best_metric_value": 12.5, "best_metric_tick": None},
    }
