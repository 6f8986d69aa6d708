"""The driver passes the conformance suite on other servers too: a cluster, named ones.

The variable STOKER_TEST_REDIS_URL names a server that may hold other things: only keys with
prefixes of the suite's own are written there, and deleted one by one.
"""

from __future__ import annotations

import os

from redis_harness import (
    URL_OF_NAMED_SERVER,
    ClusterServers,
    EverysecServer,
    NamedServer,
    UsersClient,
)

from stoker_conformance import Suite

everysec = Suite(EverysecServer)
users_client = Suite(UsersClient)
cluster = Suite(ClusterServers)

if os.environ.get(URL_OF_NAMED_SERVER):
    named = Suite(NamedServer)
