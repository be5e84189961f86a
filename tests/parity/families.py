"""Which checker reads the cases of which folder."""

from collections.abc import Callable
from pathlib import Path

from tests.parity.cases import Case, Report
from tests.parity.eg3d.models import check_model
from tests.parity.eg3d.parts import check_mapping, check_parts
from tests.parity.planes.families import check_epigraf, check_threedgp
from tests.parity.stylenerf import models as stylenerf_models
from tests.parity.stylenerf import parts as stylenerf_parts
from tests.parity.volumegan.models import check_model as check_volumegan_model
from tests.parity.volumegan.models import check_official as check_volumegan_file
from tests.parity.volumegan.scripts import check_script as check_volumegan_script


def check_eg3d(case: Case, folder: Path, report: Report) -> None:
    """Check whatever an EG3D case holds: a whole generator, mapping networks, or parts."""
    if "rendering_kwargs" in case.info.get("init_kwargs", {}):
        check_model(case, folder, report)
    elif "subcases" in case.info:
        check_mapping(case, report)
    else:
        check_parts(case, report)


def check_stylenerf(case: Case, folder: Path, report: Report) -> None:
    """Check whatever a StyleNeRF case holds: a whole generator, an official snapshot, or parts."""
    if "synthesis_kwargs" in case.info.get("init_kwargs", {}):
        stylenerf_models.check_model(case, folder, report)
    elif "state_dict_keys" in case.info:
        stylenerf_models.check_snapshot(case, report)
    else:
        stylenerf_parts.check_parts(case, report)


def check_volumegan(case: Case, folder: Path, report: Report) -> None:
    """Check a whole generator, a published file, or what the script computes."""
    if "generator_kwargs" in case.info:
        check_volumegan_file(case, folder, report)
    elif "render_variants" in case.info:
        check_volumegan_script(case, report)
    else:
        check_volumegan_model(case, folder, report)


CHECKERS: dict[str, Callable[[Case, Path, Report], None]] = {
    "eg3d": check_eg3d,
    "epigraf": check_epigraf,
    "3dgp": check_threedgp,
    "stylenerf": check_stylenerf,
    "volumegan": check_volumegan,
}
"""Folder of recorded cases -> its checker. Each takes a case, a folder for files, and the report to fill."""
