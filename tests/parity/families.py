"""Which checker reads the cases of which folder."""

from collections.abc import Callable
from pathlib import Path

from tests.parity.cases import Case, Report
from tests.parity.eg3d_models import check_model
from tests.parity.eg3d_parts import check_mapping, check_parts
from tests.parity.plane_families import check_epigraf, check_threedgp


def check_eg3d(case: Case, folder: Path, report: Report) -> None:
    """Check whatever an EG3D case holds: a whole generator, mapping networks, or parts."""
    if "rendering_kwargs" in case.info.get("init_kwargs", {}):
        check_model(case, folder, report)
    elif "subcases" in case.info:
        check_mapping(case, report)
    else:
        check_parts(case, report)


CHECKERS: dict[str, Callable[[Case, Path, Report], None]] = {
    "eg3d": check_eg3d,
    "epigraf": check_epigraf,
    "3dgp": check_threedgp,
}
"""Folder of recorded cases -> its checker. Each takes a case, a folder for files, and the report to fill."""
