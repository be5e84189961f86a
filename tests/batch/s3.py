"""Workers write to a bucket, run as a program where the environment names a server.

python -m tests.batch.s3 FOLDER
"""

import sys
from pathlib import Path

from tests.batch.work import make


def main(folder: Path) -> None:
    """Make pieces with a worker that dies, resume with more of them, and bring all of it here."""
    import fsspec

    from gen3d_tools.errors import PlaceError

    files = fsspec.filesystem("s3")
    files.mkdir("bucket")
    try:
        make("s3://no-bucket/out", 3, 2, diary=folder / "none")
    except PlaceError as error:
        sys.stdout.write(f"{error}\n")
    make("s3://bucket/out", 4, 2, diary=folder / "diary", deadly=(1,))
    make("s3://bucket/out", 6, 2, diary=folder / "diary", resume=True)
    assert [len(path.read_text().splitlines()) for path in sorted((folder / "diary").iterdir())] == [1, 2, 1, 1, 1, 1]
    files.invalidate_cache()
    files.get("bucket/out", str(folder / "there"), recursive=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
