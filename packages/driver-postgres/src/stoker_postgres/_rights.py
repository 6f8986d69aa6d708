"""What a role may do in the schema, compared with what the driver needs, before it needs it.

The server's own errors name an object, and not the right. Here all that is missing is told at once,
as statements that give it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from stoker.errors import IncompatibleStore
from stoker_postgres._asyncpg import Connection
from stoker_postgres._sql import quoted

__all__ = ["refuse_without_right_to_change", "refuse_without_rights"]

_MISSING: Final = """\
with here as (
    select oid, nspname from pg_catalog.pg_namespace where nspname = $1::text
)
select 'schema' as kind, quote_ident(nspname) as name, 'usage' as rights
from here
where not has_schema_privilege(oid, 'usage')
union all
select 'table', format('%I.%I', nspname, relname), string_agg(wanted, ', ' order by place)
from here
join pg_catalog.pg_class as c on c.relnamespace = here.oid and c.relkind in ('r', 'p')
cross join unnest(array['select', 'insert', 'update', 'delete'])
    with ordinality as w (wanted, place)
where not has_table_privilege(c.oid, wanted) and (relname <> 'migrations' or wanted = 'select')
group by nspname, relname
union all
select 'sequence', format('%I.%I', nspname, relname), 'usage'
from here
join pg_catalog.pg_class as c on c.relnamespace = here.oid
-- In this order: of what is no sequence, the question would be an error.
where case when c.relkind = 'S' then not has_sequence_privilege(c.oid, 'usage') else false end
    -- The sequence of an identity column needs no right of its own.
    and not exists (select from pg_catalog.pg_depend where objid = c.oid and deptype = 'i')
union all
select 'function', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)),
    'execute'
from here
join pg_catalog.pg_proc as p on p.pronamespace = here.oid
where not has_function_privilege(p.oid, 'execute')
order by kind, rights, name"""

_ROLE: Final = "select current_user::text, current_database()::text"

_MAY_CREATE_SCHEMA: Final = """\
select count(*) from (values (1)) as one
where has_database_privilege(current_database(), 'create')"""

_MAY_CREATE: Final = """\
select count(*) from pg_catalog.pg_namespace
where nspname = $1::text
    and has_schema_privilege(oid, 'usage') and has_schema_privilege(oid, 'create')"""

_OTHER_OWNERS: Final = """\
select distinct quote_ident(pg_get_userbyid(relowner))
from pg_catalog.pg_namespace as n
join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relkind in ('r', 'p')
where nspname = $1::text and not pg_has_role(relowner, 'usage')
order by 1"""


async def refuse_without_rights(connection: Connection, schema: str) -> None:
    """Refuse a role that lacks a right which the driver needs to use the schema.

    Raises:
        IncompatibleStore: names all that is missing.
    """
    grants: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for kind, name, rights in await connection.fetch(_MISSING, schema):
        grants[rights, kind].append(name)
    if not grants:
        return
    role, _ = await _role(connection)
    statements = [
        f"grant {rights} on {kind} {', '.join(names)} to {quoted(role)};"
        for (rights, kind), names in grants.items()
    ]
    raise IncompatibleStore(
        f"the role {role!r} lacks rights in the schema {schema!r}. The owner of the schema gives "
        f"them: {' '.join(statements)}"
    )


async def refuse_without_right_to_change(
    connection: Connection, schema: str, *, exists: bool
) -> None:
    """Refuse a role that may not create the schema, or not change what is in it.

    Raises:
        IncompatibleStore: names what is missing.
    """
    role, database = await _role(connection)
    lacks = f"the role {role!r} lacks the right to change the schema {schema!r}: "
    if not exists:
        if not (await connection.fetch(_MAY_CREATE_SCHEMA))[0][0]:
            raise _unfit(lacks, f"create on database {quoted(database)} to {quoted(role)}")
        return
    owners = [owner for (owner,) in await connection.fetch(_OTHER_OWNERS, schema)]
    if owners:
        raise IncompatibleStore(
            f"{lacks}its tables belong to {', '.join(owners)}. Run `stoker migrate` as their owner"
        )
    if not (await connection.fetch(_MAY_CREATE, schema))[0][0]:
        raise _unfit(lacks, f"usage, create on schema {quoted(schema)} to {quoted(role)}")


def _unfit(lacks: str, grant: str) -> IncompatibleStore:
    return IncompatibleStore(
        f"{lacks}run `stoker migrate` as a role that has it, or give it: grant {grant};"
    )


async def _role(connection: Connection) -> tuple[str, str]:
    role, database = (await connection.fetch(_ROLE))[0]
    return str(role), str(database)
