"""Whether a file is a CycloneDX 1.6 bill of materials: exit 0, or what is wrong with it."""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

file = pathlib.Path(sys.argv[1])
if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text("utf-8")):
    sys.exit(f"{file}: {error}")
print(f"{file.name}: valid CycloneDX 1.6")
