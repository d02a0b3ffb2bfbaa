"""The build hook: makes the library of compiled kernels for a wheel, or beside the sources for an editable install.

Where it cannot be made (no C compiler, no numba for this Python, another processor), that is said, and the package is
built without it. ``GENCOMP_BUILD_KERNELS`` is ``here`` (for this processor alone, as for an editable install), ``all``
(for every processor of this kind, as for a wheel), ``0`` (no library) or ``must`` (as ``all``; without it, no wheel).
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = ("gencomp/compiled/_library.abi3.so", "gencomp/compiled/_library.json")


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the library before the files of a wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say in the wheel's name what it holds."""
        wanted = os.environ.get("GENCOMP_BUILD_KERNELS") or ("here" if version == "editable" else "all")
        if wanted == "0":
            return
        if wanted not in ("here", "all", "must"):
            raise ValueError(f"GENCOMP_BUILD_KERNELS: expected here, all, must or 0, found {wanted!r}")
        command = [sys.executable, "-m", "gencomp.compiled.build", "--for", "here" if wanted == "here" else "all"]
        path = os.pathsep.join(filter(None, [self.root, os.environ.get("PYTHONPATH")]))
        result = subprocess.run(command, cwd=self.root, env={**os.environ, "PYTHONPATH": path}, check=False)
        if result.returncode:
            if wanted == "must":
                raise RuntimeError("the library of compiled kernels could not be built, see above")
            self.app.display_warning("without the library of compiled kernels: see above; pip install 'gencomp[jit]'")
            return
        if version != "editable":
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"cp311-abi3-{platform}"
            build_data["pure_python"] = False
            build_data["artifacts"] += [name for name in LIBRARY if Path(self.root, name).exists()]
