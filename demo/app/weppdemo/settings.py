"""Settings, read from the environment wherever they are needed.

They are read anew each time rather than cached: the same lines run in every request and every job.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Web workers must agree on the key, or a session made by one is refused by the next.
_DEV_SECRET = "weppdemo-development-key-not-for-production"


@dataclass(frozen=True)
class Settings:
    """Where things lie and who may log in."""

    secret_key: str
    runs_dir: Path
    redis_url: str
    admin_email: str
    admin_password: str
    playback_tmp_root: Path
    playback_fork_root: Path
    playback_archive_root: Path

    @classmethod
    def from_env(cls) -> Settings:
        """Read `WEPPDEMO_*`, `ADMIN_*` and `PROFILE_PLAYBACK_*`; each has a default for development."""
        env = os.environ
        base = Path(env.get("PROFILE_PLAYBACK_BASE", "/tmp/weppdemo/playback"))
        return cls(
            secret_key=env.get("WEPPDEMO_SECRET_KEY", _DEV_SECRET),
            runs_dir=Path(env.get("WEPPDEMO_RUNS_DIR", "/tmp/weppdemo/runs")),
            redis_url=env.get("WEPPDEMO_REDIS_URL", "redis://127.0.0.1:6379/0"),
            admin_email=env.get("ADMIN_EMAIL", "admin@example.org"),
            admin_password=env.get("ADMIN_PASSWORD", "admin"),
            playback_tmp_root=Path(env.get("PROFILE_PLAYBACK_RUN_ROOT", str(base / "runs"))),
            playback_fork_root=Path(env.get("PROFILE_PLAYBACK_FORK_ROOT", str(base / "fork"))),
            playback_archive_root=Path(env.get("PROFILE_PLAYBACK_ARCHIVE_ROOT", str(base / "archive"))),
        )
