"""Writes pickles laid out as the official training code lays out its snapshots, without any of that code.

Classes of the original repositories appear by name only, and the source text that real files carry is empty.
`official_bytes` gives a whole snapshot; the nodes of `pickle_nodes` let a test compose a file of its own.

    data = official_bytes("eg3d", init_kwargs, tensors, attributes={"": {"neural_rendering_resolution": 64}})
    path.write_bytes(data)
"""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.support.pickle_nodes import Call, Global, Instance, Layout, dumps

PERSISTENCE = {"eg3d": "torch_utils.persistence", "epigraf": "src.torch_utils.persistence"}
PERSISTENCE["threedgp"] = PERSISTENCE["epigraf"]
PERSISTENCE["stylenerf"] = PERSISTENCE["eg3d"]
EASY_DICT = {"eg3d": "dnnlib.util", "epigraf": "src.dnnlib.util", "threedgp": "src.dnnlib.util"}
EASY_DICT["stylenerf"] = EASY_DICT["eg3d"]
BUFFERS = re.compile(
    r"(^|\.)(resample_filter|noise_const|w_avg|mean_camera_pose|mean_camera_params|fourier_coefs|progress_coef|dataset_label_std|alpha)$"
)


def easy_dict(values: Mapping, family: str = "eg3d") -> Instance:
    """Write a dict as the original's dict with attribute access."""
    return Instance(Global(EASY_DICT[family], "EasyDict"), values)


def persistent(class_name: str, state: dict, family: str = "eg3d", *, source: str = "") -> Call:
    """Write a network of the original code: a call that would rebuild it from its source text."""
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}
    return Call(Global(PERSISTENCE[family], "_reconstruct_persistent_obj"), (meta,))


# Non-persistent classes by path in the network; the rest is persistent.
_ORDINARY = {
    r"renderer": ("training.volumetric_rendering.renderer", "ImportanceRenderer"),
    r"renderer\.ray_marcher": ("training.volumetric_rendering.ray_marcher", "MipRayMarcher2"),
    r"ray_sampler": ("training.volumetric_rendering.ray_sampler", "RaySampler"),
    r"decoder": ("training.triplane", "OSGDecoder"),
    r"decoder\.net": ("torch.nn.modules.container", "Sequential"),
    r"decoder\.net\.1": ("torch.nn.modules.activation", "Softplus"),
    r".*\.(model|main|color_network|adapter)": ("torch.nn.modules.container", "Sequential"),
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
_ROOT = {"eg3d": "TriPlaneGenerator", "epigraf": "Generator", "threedgp": "Generator", "stylenerf": "Generator"}


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
        family: "eg3d", "epigraf", "threedgp" or "stylenerf".
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
        family: "eg3d", "epigraf", "threedgp" or "stylenerf": decides names, not contents.
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
    if family in ("epigraf", "threedgp"):
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
