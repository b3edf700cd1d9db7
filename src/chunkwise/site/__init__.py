"""The administrator's file: what may be read by whom, where results go, which cluster computes.

Found at ``CHUNKWISE_SITE``, else ``/etc/chunkwise/site.toml``; without one, chunkwise behaves as a
person's own shell program. ``docs/site.md`` describes every key; ``site.keys`` is where they are said.
"""

from chunkwise.site.model import Cluster, Limits, Models, Person, Root, S3Access, Site, Workspace
from chunkwise.site.read import DEFAULT_SITE_FILE, load_site

__all__ = [
    "DEFAULT_SITE_FILE",
    "Cluster",
    "Limits",
    "Models",
    "Person",
    "Root",
    "S3Access",
    "Site",
    "Workspace",
    "load_site",
]
