"""What gunicorn serves for the row `files`."""

from __future__ import annotations

import os
from pathlib import Path

from .bodies import Bodies

app = Bodies(os.environ["BENCH_WAY"], Path(os.environ["BENCH_WORK"])).flask_app()
