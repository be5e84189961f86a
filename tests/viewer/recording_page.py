"""A page that writes down what it is asked for, in place of a browser."""

import threading

from gen3d_tools.viewer.session import Session
from gen3d_tools.viewer.studio import Studio

PIXELS = 64
"""Pixels along the shorter side of sharp pictures."""


class RecordingPage:
    def __init__(self):
        self.pictures, self.views, self.notices, self.progress, self.files = [], [], [], [], []
        self.works = []
        self.overlays, self.clicked, self.refreshed = {}, None, 0
        self.news = threading.Condition()

    def show_picture(self, pixels, *, sharp):
        with self.news:
            self.pictures.append((pixels, sharp))
            self.news.notify_all()

    def move_camera(self, view):
        self.views.append(view)

    def tell(self, message, *, failed=False):
        with self.news:
            self.notices.append((message, failed))
            self.news.notify_all()

    def refresh(self):
        self.refreshed += 1

    def show_progress(self, what, share, line=""):
        self.progress.append((what, share, line))

    def show_work(self, what, pixels):
        self.works.append((what, pixels))

    def send_file(self, name, content):
        with self.news:
            self.files.append((name, content))
            self.news.notify_all()

    def lay_over(self, name, overlay):
        if overlay is None:
            self.overlays.pop(name, None)
        else:
            self.overlays[name] = overlay

    def ask_click(self, clicked):
        self.clicked = clicked

    @property
    def failures(self):
        return [message for message, failed in self.notices if failed]

    def wait(self, happened, seconds=60):
        with self.news:
            assert self.news.wait_for(happened, seconds), (self.notices, len(self.pictures))


def still(session):
    """Draw, in this thread, until nothing is due."""
    while (pause := session.painter.step()) is not None:
        if pause:
            session.painter._moved = -1e9
    return session.page.pictures[-1]


def session_of(*generators, **studio):
    """A session whose painter is drawn step by step."""
    from gen3d_tools.viewer.choice import first_choice

    models = {f"model {number}": one for number, one in enumerate(generators)}
    begin = first_choice(generators[0], "model 0") if generators else None
    session = Session(Studio(models, begin=begin, **studio), RecordingPage())
    session.painter.start = lambda: None
    session.start()
    return session
