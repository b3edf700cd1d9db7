"""Which of job_conf.yml's environments a job gets."""

from __future__ import annotations

__all__ = ["choose"]


def choose(tool_id: str, user_email: str | None) -> str:
    """Our tools without a site file, unless the user is the one who tests with it; all other tools plain."""
    if "chunkwise_" not in tool_id:
        return "plain"
    return "chunkwise_site" if user_email == "site@example.org" else "chunkwise"
