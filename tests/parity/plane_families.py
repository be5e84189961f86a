"""Which check reads which case of EpiGRAF and 3DGP."""

from pathlib import Path

from tests.parity import epigraf_models, plane_scripts, threedgp_models
from tests.parity.cases import Case, Report


def check_epigraf(case: Case, folder: Path, report: Report) -> None:
    """Check whatever an EpiGRAF case holds: a whole generator, or the scripts' numbers."""
    if "constructor" in case.info:
        epigraf_models.check_model(case, folder, report)
    else:
        plane_scripts.check_epigraf(case, report)


def check_threedgp(case: Case, folder: Path, report: Report) -> None:
    """Check whatever a 3DGP case holds: a whole generator, or the scripts' numbers."""
    if "constructor" in case.info:
        threedgp_models.check_model(case, folder, report)
    else:
        plane_scripts.check_threedgp(case, report)
