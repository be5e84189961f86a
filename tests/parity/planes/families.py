"""Which check reads which case of EpiGRAF and 3DGP."""

from pathlib import Path

from tests.parity.cases import Case, Report
from tests.parity.planes import epigraf_models, scripts, threedgp_models


def check_epigraf(case: Case, folder: Path, report: Report) -> None:
    """Check whatever an EpiGRAF case holds: a whole generator, or the scripts' numbers."""
    if "constructor" in case.info:
        epigraf_models.check_model(case, folder, report)
    else:
        scripts.check_epigraf(case, report)


def check_threedgp(case: Case, folder: Path, report: Report) -> None:
    """Check whatever a 3DGP case holds: a whole generator, or the scripts' numbers."""
    if "constructor" in case.info:
        threedgp_models.check_model(case, folder, report)
    else:
        scripts.check_threedgp(case, report)
