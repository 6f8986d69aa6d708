"""Encryption in front of a server that has none, and who signs certificates for it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "TlsFront"]

_ADDRESS: Final = "127.0.0.1"
_DAY: Final = timedelta(days=1)
_SIGNS: Final = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """Signs certificates for a day."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = (
            self._certificate(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS, critical=True)
        )
        self.file = folder / f"{name}.pem"
        """The certificate of the authority, for those who are to trust it."""
        self.file.write_bytes(_text(own.sign(self._key, hashes.SHA256())))

    def server(self, address: str = _ADDRESS) -> ssl.SSLContext:
        """Return what a server needs to prove that it has this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        signed = self._certificate(name, key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        file = self._folder / f"{self.file.stem}-{address}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _text(signed.sign(self._key, hashes.SHA256()))
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        """Say who has a key. From 3.13 on, Python asks for both keys to be named."""
        now = datetime.now(UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(
                subject_name=subject,
                issuer_name=self._name,
                public_key=key,
                serial_number=x509.random_serial_number(),
                not_valid_before=now - _DAY,
                not_valid_after=now + _DAY,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer, critical=False)
        )


def _text(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class TlsFront:
    """Takes encrypted connections on a port of its own, and passes their content on to a server.

    Clients of PostgreSQL first ask in the clear whether a server can be spoken to like that: then
    `asked` is their request, and the answer is yes.
    """

    def __init__(self, port: int, context: ssl.SSLContext, *, asked: bytes = b"") -> None:
        self._behind = port
        self._context = context
        self._asked = asked
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.greeted = 0
        """How many connections were encrypted so far."""

    async def __aenter__(self) -> Self:
        at_once = None if self._asked else self._context
        self._server = await asyncio.start_server(self._serve, _ADDRESS, 0, ssl=at_once)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for link in self._links:
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)

    @property
    def port(self) -> int:
        """Where encrypted connections are taken."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        # Either side may end a connection, and so may the test.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._pass_all_on(reader, writer)
        writer.transport.abort()
        self._links.discard(task)

    async def _pass_all_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._asked:
            if await reader.readexactly(len(self._asked)) != self._asked:
                return
            writer.write(b"S")
            await writer.start_tls(self._context)
        self.greeted += 1
        there, here = await asyncio.open_connection(_ADDRESS, self._behind)
        try:
            await asyncio.gather(_pass_on(reader, here), _pass_on(there, writer))
        finally:
            here.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
