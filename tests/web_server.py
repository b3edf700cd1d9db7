"""A real web server for the tests: Debian's nginx on loopback, with a log of what it sent; http and https."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Request", "Web", "free_port", "running_nginx"]

ROOT = Path(__file__).parents[1]

CONFIG = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format told escape=json '{{"method": "$request_method", "path": "$request_uri", "status": $status, '
        '"sent": $body_bytes_sent, "range": "$http_range"}}';
    access_log {folder}/access.log told;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        root {files};
        {locations}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    method: str
    path: str
    status: int
    sent: int
    """Bytes of the body."""
    range: str


class Web:
    """A running nginx."""

    def __init__(self, folder: Path, port: int, tls_port: int) -> None:
        self.files = folder / "files"
        """What it serves."""
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://127.0.0.1:{tls_port}"
        self.authority = folder / "ca.pem"
        self._log = folder / "access.log"

    def requests(self) -> list[Request]:
        """What was asked since the last call."""
        # nginx writes a line after its answer is out: the last ones may come when the reader has all it asked for.
        size = -1
        while size != (size := self._log.stat().st_size):
            time.sleep(0.3)
        text = self._log.read_text()
        self._log.write_text("")
        return [Request(**json.loads(line)) for line in text.splitlines()]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_nginx(folder: Path, locations: str = "") -> Iterator[Web]:
    """Start nginx with its files, its log and its configuration in a folder; ``locations`` are lines of its own."""
    if not shutil.which("nginx") and os.geteuid() != 0:
        pytest.skip("nginx is missing, and only root can install it")
    subprocess.run([ROOT / "deploy" / "web.sh"], check=True)
    (folder / "files").mkdir(parents=True)
    make_certificates(folder)
    port, tls_port = free_port(), free_port()
    config = CONFIG.format(
        user="root" if os.geteuid() == 0 else "nobody",
        folder=folder,
        files=folder / "files",
        port=port,
        tls_port=tls_port,
        locations=locations,
    )
    (folder / "nginx.conf").write_text(config)
    words = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen(words)
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield Web(folder, port, tls_port)
    finally:
        process.terminate()
        process.wait(20)


def make_certificates(folder: Path) -> None:
    """Make an authority that nobody knows, and a certificate of it for 127.0.0.1."""
    now = datetime.datetime.now(datetime.UTC)

    def make(name: str, issuer: Any, signer: Any, extension: Any) -> tuple[Any, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(signer or key, hashes.SHA256())
        )
        return key, certificate

    ca_key, ca = make("tests", None, None, x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    key, certificate = make("127.0.0.1", ca.subject, ca_key, address)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8
    (folder / "server.key").write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()))
