"""Lets the service's own processes have what stands in LD_PRELOAD: pyvoy puts libpython there, in place of all else.

Python imports this at its start where PYTHONPATH leads here; see `bench/compare.py`.
"""

from __future__ import annotations

import os

_DONE = "SLOW_DISK_PREPARED"

if _DONE not in os.environ:
    # Not again in the server's processes.
    os.environ[_DONE] = "yes"
    from pyvoy import _server

    _of_pyvoy, _ours = _server.get_envoy_environ, os.environ["LD_PRELOAD"]

    def _with_ours() -> dict[str, str]:
        environ = _of_pyvoy()
        return {**environ, "LD_PRELOAD": f"{_ours} {environ.get('LD_PRELOAD', '')}"}

    _server.get_envoy_environ = _with_ours
