"""The tabs that choose an object and how it is seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import viser

from gen3d_tools.generators.latents import distinct_names
from gen3d_tools.viewer.actions.edits import FARTHEST
from gen3d_tools.viewer.actions.photo import PRESETS
from gen3d_tools.viewer.choice import MAX_SEED
from gen3d_tools.viewer.drawing.look import BACKGROUNDS, KINDS, SIZES
from gen3d_tools.viewer.session import Session

BACK, DICE, FORWARD = "Back", "Dice", "Forward"
AS_WINDOW = "as the window"


class Tab:
    """Controls whose values are sent to a session, and set from it without being sent again."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        self.session, self.gui = session, gui
        self._setting = False

    def on(self, handle: Any, action: Callable[[Any], object]) -> Any:
        """Do something with a control's new value; in the event loop, so that values arrive in their order."""

        async def changed(event: Any) -> None:
            if event.client is not None and not self._setting:
                self.session.act(lambda: action(event.target.value))

        handle.on_update(changed)
        return handle

    def click(self, handle: Any, action: Callable[[], object]) -> Any:
        """Do something when a button is pressed."""

        async def pressed(_: Any) -> None:
            self.session.act(action)

        handle.on_click(pressed)
        return handle

    def upload(self, button: Any, action: Callable[[str, bytes], object]) -> Any:
        """Do something with the name and content of a file; viser would keep it as long as the page is open."""

        async def uploaded(event: Any) -> None:
            file = event.target.value
            button._impl.value = type(file)("", b"")
            self.session.act(lambda: action(file.name, file.content))

        button.on_upload(uploaded)
        return button

    @contextmanager
    def setting(self) -> Iterator[None]:
        """Set values in the block without sending them."""
        self._setting = True
        try:
            yield
        finally:
            self._setting = False


class ObjectTab(Tab):
    """Which object is looked at."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        choice, generator = session.choice, session.generator
        self._model = self.on(
            gui.add_dropdown("Model", tuple(session.models), initial_value=choice.model), session.choose_model
        )
        self._class = self.on(gui.add_dropdown("Class", ("none",), hint="Type to search."), session.choose_class)
        self._seed = self.on(
            gui.add_number("Seed", choice.seed or 0, min=0, max=MAX_SEED, step=1),
            lambda seed: session.choose(step=True, seed=int(seed)),
        )
        steps = gui.add_button_group("", (BACK, DICE, FORWARD), hint="Through the objects you have seen.")
        self.click(steps, lambda: self._step(steps.value))
        self._psi = self.on(
            gui.add_slider("Truncation", 0.0, 1.5, 0.05, 1.0, hint="1 = as trained, 0 = the mean of the class."),
            lambda psi: session.choose(psi=float(psi)),
        )
        self.click(
            gui.add_button("Contact sheet", icon=viser.Icon.GRID_DOTS, hint="Twelve seeds side by side; click on one."),
            session.show_sheet,
        )
        with gui.add_folder("Blend with another seed", expand_by_default=False):
            self._second = self.on(
                gui.add_number("Other seed", choice.second_seed, min=0, max=MAX_SEED, step=1),
                lambda seed: session.choose(second_seed=int(seed)),
            )
            self._blend = self.on(
                gui.add_slider("Share", 0.0, 1.0, 0.01, 0.0), lambda share: session.choose(blend=float(share))
            )
        layers = generator.num_ws - generator.own_rows
        self._styles = gui.add_folder("Styles of another seed", expand_by_default=False, visible=layers > 1)
        with self._styles:
            self._style = self.on(
                gui.add_number("Other seed", choice.style_seed, min=0, max=MAX_SEED, step=1),
                lambda seed: session.choose(style_seed=int(seed)),
            )
            self._mixed = self.on(
                gui.add_multi_slider(
                    "Layers",
                    0,
                    max(layers, 1),
                    1,
                    choice.mixed if layers > 1 else (0, 1),
                    hint="Layers between the marks come from the other seed: the first ones make the shape, the last "
                    "ones the colours.",
                ),
                lambda ends: session.choose(mixed=(int(ends[0]), int(ends[1]))),
            )
        self._edit = gui.add_folder("Edit", expand_by_default=False)
        with self._edit:
            self._undo = self.click(gui.add_button("Undo all", color="gray"), session.edits.clear)
        self._sliders: dict[str, Any] = {}
        self._names: tuple[str, ...] = ()

    def _show_sliders(self) -> None:
        """Make a slider for each direction that the object has."""
        edits = self.session.edits
        names = tuple(one.name for one in edits.offered)
        if names != tuple(self._sliders):
            for slider in self._sliders.values():
                slider.remove()
            with self._edit:
                self._sliders = {name: self._slider(name) for name in names}
            self._edit.visible = bool(names)
        for name, slider in self._sliders.items():
            slider.value = float(min(max(edits.amount(name), -FARTHEST), FARTHEST))

    def _show_layers(self, layers: int) -> None:
        """Let the marks reach as far as the model's layers: another model has more or fewer."""
        self._styles.visible = layers > 1
        if layers > 1:
            self._mixed.max = max(layers, *self._mixed.value)  # no mark may stand beyond the end meanwhile
            self._mixed.value = self.session.choice.mixed
            self._mixed.max = layers

    def _slider(self, name: str) -> Any:
        edits = self.session.edits
        slider = self.gui.add_slider(name, -FARTHEST, FARTHEST, 0.1, 0.0, hint="Standard deviations.")
        return self.on(slider, lambda amount: edits.set(name, float(amount)))

    def _step(self, button: str) -> None:
        if button == DICE:
            self.session.throw_dice()
        else:
            self.session.go(-1 if button == BACK else 1)

    def refresh(self) -> None:
        """Show the session's choice."""
        choice, generator = self.session.choice, self.session.generator
        names = tuple(distinct_names(generator.class_names))
        with self.setting():
            if tuple(self._model.options) != tuple(self.session.models):
                self._model.options = tuple(self.session.models)
            self._model.visible = len(self.session.models) > 1
            self._model.value = choice.model
            self._class.visible = bool(names)
            if names and names != self._names:
                self._class.options = self._names = names
            if choice.class_index is not None:
                self._class.value = names[choice.class_index]
            self._seed.value = choice.seed or 0
            self._psi.value = min(max(choice.psi, 0.0), 1.5)
            self._second.value, self._blend.value = choice.second_seed, choice.blend
            self._style.value = choice.style_seed
            self._show_sliders()
            self._show_layers(generator.num_ws - generator.own_rows)


class LookTab(Tab):
    """How it is seen."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        self._kind = self.on(gui.add_dropdown("Show", KINDS), lambda kind: session.show(kind=kind))
        self._background = self.on(
            gui.add_dropdown("Background", BACKGROUNDS), lambda name: session.show(background=name)
        )
        self._size = self.on(
            gui.add_dropdown(
                "Sharpness", (AS_WINDOW, *map(str, SIZES)), hint="Pixels of the shorter side when nothing moves."
            ),
            lambda size: session.show(size=None if size == AS_WINDOW else int(size)),
        )
        self._exact = self.on(
            gui.add_checkbox("Exact", False, hint="Sharp pictures by the published sampling scheme; slower."),
            lambda exact: session.show(exact=bool(exact)),
        )
        self._raw = self.on(
            gui.add_checkbox("Without super-resolution", False, hint="What the rays see."),
            lambda raw: session.show(raw=bool(raw)),
        )
        self.click(gui.add_button("Reset the view", icon=viser.Icon.HOME), session.reset_view)

    def refresh(self) -> None:
        """Show the session's look."""
        look = self.session.look
        with self.setting():
            self._kind.value, self._background.value = look.kind, look.background
            self._size.value = AS_WINDOW if look.size is None else str(look.size)
            self._exact.value, self._raw.value = look.exact, look.raw
            self._raw.visible = self.session.generator.super_resolves


class PhotoPart(Tab):
    """The object of a photo."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        gui.add_markdown(
            "The object of a photo, in 3D: in front of a plain background, whole, and of a class that the model knows. "
            "Drop it anywhere on the page, or choose it here."
        )
        self._preset = self.on(
            gui.add_dropdown("Effort", PRESETS, initial_value=session.photo.preset), session.photo.choose_preset
        )
        button = gui.add_upload_button("Choose a photo", icon=viser.Icon.PHOTO_UP, mime_type="image/*")
        self.upload(button, session.photo.take)

    def refresh(self) -> None:
        """Show the session's choice."""
        with self.setting():
            self._preset.value = self.session.photo.preset
