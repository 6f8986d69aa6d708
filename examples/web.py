"""A web application: POST /users stores a user, schedules the welcome e-mail and answers at once.

Development, everything in one process:

    WEB_WORKER=inside uvicorn --app-dir examples web:api

Production, the web server and the worker apart:

    uvicorn --app-dir examples web:api
    stoker worker --app-dir examples web:jobs_app

Users and jobs are in one SQLite file, `WEB_DATABASE`, so that a user and the welcome job are
stored in one transaction: both or neither. With another store, `WEB_JOBS=redis://...`, the job is
scheduled right after the user is stored.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import aiosqlite
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, EmailStr

from stoker import Exponential, JobRun, Router, Stoker

DATABASE: Final = Path(os.environ.get("WEB_DATABASE", "web.db")).absolute()
OWN_FILE: Final = f"sqlite:///{quote(str(DATABASE))}"
JOBS: Final = os.environ.get("WEB_JOBS", OWN_FILE)

SCHEMA = """
create table if not exists users (
    id integer primary key, email text not null unique, name text not null
);
create table if not exists outbox (
    user_id integer primary key, email text not null, body text not null
);
"""


class NewUser(BaseModel):
    """What the client sends."""

    email: EmailStr
    name: str


class Welcome(BaseModel):
    """What the job needs; validated when it is scheduled and again when it runs."""

    user_id: int
    email: EmailStr
    name: str


class Created(BaseModel):
    """What the client gets back at once."""

    id: int
    welcome_job: str


class User(BaseModel):
    """A user, and whether the welcome has gone out."""

    id: int
    email: EmailStr
    name: str
    welcomed: bool


class Outbox:
    """Stands for the e-mail service. A second letter to the same user is not sent."""

    async def send(self, letter: Welcome) -> None:
        """Send a letter; here, write it down."""
        async with connect() as database:
            await database.execute(
                "insert or ignore into outbox values (?, ?, ?)",
                (letter.user_id, letter.email, f"Welcome, {letter.name}!"),
            )


@asynccontextmanager
async def connect() -> AsyncIterator[aiosqlite.Connection]:
    """Open the database in autocommit mode; transactions are begun where they are wanted."""
    async with aiosqlite.connect(DATABASE, isolation_level=None, timeout=10) as database:
        yield database


@asynccontextmanager
async def transaction(database: aiosqlite.Connection) -> AsyncIterator[None]:
    """Commit what the block does, or roll it back."""
    await database.execute("begin immediate")
    try:
        yield
    except BaseException:
        await database.rollback()
        raise
    await database.commit()


async def create_tables() -> None:
    """Make sure that the tables are there; web server and worker both begin with this."""
    async with connect() as database:
        await database.executescript(SCHEMA)


emails = Router[Outbox]("emails", attempts=5, backoff=Exponential(1.0))


@emails.job
async def send_welcome(letter: Welcome, outbox: Outbox, job: JobRun) -> None:
    """Welcome a new user."""
    await outbox.send(letter)
    job.logger.info("welcomed user %d (attempt %d)", letter.user_id, job.attempt)


@asynccontextmanager
async def outbox() -> AsyncIterator[Outbox]:
    """What handlers get as their context; entered once, where jobs run."""
    await create_tables()
    yield Outbox()


jobs_app = Stoker(
    JOBS,
    jobs=[emails],
    lifespan=outbox,
    autostart_worker=os.environ.get("WEB_WORKER") == "inside",
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """While the web server runs, jobs can be scheduled."""
    async with jobs_app:
        # After the app has opened: it is Stoker that creates the file they share.
        await create_tables()
        yield


async def database() -> AsyncIterator[aiosqlite.Connection]:
    """Each request has a connection, and so a transaction, of its own."""
    async with connect() as connection:
        yield connection


api = FastAPI(title="Users", lifespan=lifespan)
Database = Annotated[aiosqlite.Connection, Depends(database)]


@api.post("/users", status_code=201)
async def create_user(user: NewUser, database: Database) -> Created:
    """Store a user and schedule the welcome; the answer waits for no e-mail."""
    together = JOBS == OWN_FILE
    async with transaction(database):
        try:
            cursor = await database.execute(
                "insert into users (email, name) values (?, ?) returning id",
                (user.email, user.name),
            )
        except aiosqlite.IntegrityError:
            raise HTTPException(409, f"there is a user with {user.email} already") from None
        (row,) = await cursor.fetchall()
        letter = Welcome(user_id=row[0], email=user.email, name=user.name)
        call = send_welcome.call(letter, job_id=f"welcome-{letter.user_id}")
        if together:
            await jobs_app.schedule(call, connection=database)
    if not together:
        await jobs_app.schedule(call)
    return Created(id=letter.user_id, welcome_job=f"welcome-{letter.user_id}")


@api.get("/users/{user_id}")
async def get_user(user_id: int, database: Database) -> User:
    """Return a user."""
    cursor = await database.execute(
        "select users.id, users.email, users.name, outbox.user_id is not null "
        "from users left join outbox on outbox.user_id = users.id where users.id = ?",
        (user_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise HTTPException(404, f"there is no user {user_id}")
    return User(id=row[0], email=row[1], name=row[2], welcomed=row[3])
