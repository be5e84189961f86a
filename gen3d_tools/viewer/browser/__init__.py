"""The page in the browser, by viser: the only place that knows of it.

* `guard`: who may connect, what may be uploaded, and nothing that leaves the machine.
* `server`: a server on a free port; a session for each page that is opened, until it is closed.
* `canvas`: what a session asks of its page.
* `panel`: the controls beside the picture, and bars of what is under way.
* `gestures`: what is dropped and dragged on the page.
* `panel_object`, `panel_mesh`, `panel_path`, `panel_save`: the tabs.
"""
