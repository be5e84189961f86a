"""What happens to a surface between marching cubes and its file.

* `parts`: connected parts, and what can be measured of each.
* `cleanup`: the object kept; floaters, background sheets and walls of the box left out.
* `repair`: `make_watertight`: bad faces out, holes filled, parts joined.
* `smoothing`: Taubin smoothing.
* `slivers`: faces without an area, taken out.
* `decimation`: `decimate`: fewer faces, same silhouettes and colour borders.
* `health`: `mesh_health`: what state a mesh is in.
"""
