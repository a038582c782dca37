"""Becomes sitecustomize.py beside the copy of the package that fail points are tried on.

A service's processes inherit one environment: LOGSTORE_FAIL_ROLE says which of them is meant, and
LOGSTORE_FAIL_NAME is the point. Here, before anything else runs, each finds out for itself.
"""

from __future__ import annotations

import os
import sys

if "LOGSTORE_FAIL_ROLE" in os.environ:
    words = [word.rpartition(".")[2] for word in sys.orig_argv]
    if os.environ["LOGSTORE_FAIL_ROLE"] in words:
        os.environ["LOGSTORE_FAIL_POINT"] = os.environ["LOGSTORE_FAIL_NAME"]
    else:
        os.environ.pop("LOGSTORE_FAIL_POINT", None)
