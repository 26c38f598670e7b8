"""Check built or deployed artefacts against their manifests: `python -m layer.verify [FOLDER | ZIP | LAYER-ARN ...]`.

A deployed layer is fetched through the Lambda API with the caller's own credentials (``lambda:GetLayerVersion``).
"""

from __future__ import annotations

import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

from layer.manifest import differences


def verify(artefact: str, work: Path) -> list[str]:
    """Return what is wrong with the artefact: a folder, a zip, or the ARN of a layer version."""
    if artefact.startswith("arn:"):
        artefact = str(_fetch(artefact, work))
    path = Path(artefact)
    if path.is_dir():
        return differences(path)
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(work / "unpacked")
    except (OSError, zipfile.BadZipFile) as error:
        return [f"{path} cannot be read ({type(error).__name__})"]
    return differences(work / "unpacked")


def _fetch(arn: str, work: Path) -> Path:
    import boto3

    region = arn.split(":")[3]
    layer = boto3.client("lambda", region_name=region).get_layer_version_by_arn(Arn=arn)
    path = work / "layer.zip"
    with urllib.request.urlopen(layer["Content"]["Location"], timeout=60) as response:
        path.write_bytes(response.read())
    return path


def main(artefacts: list[str]) -> None:
    """Verify the given artefacts; exit with status 1 where one differs from its manifest."""
    wrong = False
    for artefact in artefacts:
        with tempfile.TemporaryDirectory() as work:
            lines = verify(artefact, Path(work))
        wrong = wrong or bool(lines)
        print(f"{artefact}: {'as its manifest says' if not lines else f'{len(lines)} differences'}")
        for line in lines[:20]:
            print(f"  {line}")
    sys.exit(wrong)


if __name__ == "__main__":
    main(sys.argv[1:])
