"""The driver passes the conformance suite on real servers: one, a cluster, and named ones."""

from __future__ import annotations

import os

from redis_harness import (
    URL_OF_NAMED_SERVER,
    BundledServer,
    ClusterServers,
    EverysecServer,
    NamedServer,
    UsersClient,
)

from stoker_conformance import Level, Suite

newest = Suite(BundledServer, level=Level.FULL)
everysec = Suite(EverysecServer, level=Level.FAST)
users_client = Suite(UsersClient, level=Level.FAST)
cluster = Suite(ClusterServers, level=Level.FAST)

if URL_OF_NAMED_SERVER in os.environ:
    named = Suite(NamedServer, level=Level.FAST)
