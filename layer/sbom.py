"""A CycloneDX bill of materials for an artefact, made from its manifest.

The same manifest gives the same bytes: no time stamp, and a serial number derived from what the artefact holds.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


def render(manifest: dict[str, Any]) -> str:
    """Return the CycloneDX 1.6 JSON for the artefact of this manifest: its packages, or the model that it carries."""
    name, version = f"lambda-rerank-{manifest['artefact']}", manifest["version"]
    whole = Component(name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"{name}@{version}")
    components = [_package(package) for package in manifest.get("packages", [])]
    if "model" in manifest:
        components.append(_model(manifest))
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(manifest, sort_keys=True))
    bom = Bom(serial_number=serial, components=components, metadata=BomMetaData(component=whole))
    bom.register_dependency(whole, components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _package(package: dict[str, str]) -> Component:
    return Component(
        name=package["name"],
        version=package["version"],
        type=ComponentType.LIBRARY,
        purl=PackageURL("pypi", None, package["name"], package["version"]),
        bom_ref=f"pkg:pypi/{package['name']}@{package['version']}",
        licenses=[LicenseFactory().make_from_string(package["licence"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package["wheel_sha256"])],
    )


def _model(manifest: dict[str, Any]) -> Component:
    model = manifest["model"]
    return Component(
        name=model["name"],
        version=model["revision"],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{model['name']}@{model['revision']}",
        licenses=[LicenseFactory().make_from_string(model["licence"])],
        properties=[Property(name=f"sha256:{name}", value=file["sha256"]) for name, file in manifest["files"].items()],
    )
