"""A real broker: Debian's mosquitto with the configuration of docs/mqtt, on ports of its own."""

import datetime as dt
import hashlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support import packages
from tests.support.gateway import ROOT, eventually
from tests.support.process import Program

CONFIGURATION = ROOT / "docs" / "mqtt"
CERTIFICATE, PASSWORD, OPEN = 8883, 8884, 1883
START_SECONDS = 10.0
# It has one thread: whatever is asked after that line is judged by the new list.
RELOADED = "Reloading config."
# "gateway" is that of the users that are stores.
PASSWORDS = {
    "gateway": "a secret of the gateway",
    "office": "a secret of the office",
    "hub": "a secret of the hub",
}
YEAR = dt.timedelta(days=365)


def programs() -> tuple[Path, dict[str, str]]:
    """The folder of mosquitto's programs, and the environment they need: installed, or unpacked."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        return Path(found).parent, dict(os.environ)
    root, environment = packages.unpacked("mosquitto", packages.cache("broker"))
    return root / "usr" / "sbin", environment


class Authority:
    """Makes certificates in a folder: ``ca.crt``, and ``NAME.crt`` and ``NAME.key`` of others."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("an authority of the tests")
        certificate = self._signed(self._name, self._key.public_key(), authority=True)
        (folder / "ca.crt").write_bytes(certificate)

    def issue(self, name: str, host: str = "") -> None:
        """A certificate for a client, or for a server of that host name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_named(name), key.public_key(), host=host)
        (self.folder / f"{name}.crt").write_bytes(certificate)
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        authority: bool = False,
        host: str = "",
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - YEAR)
            .not_valid_after(now + YEAR)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class MosquittoBroker(Program):
    """``with MosquittoBroker(folder) as broker``: ``broker.ports`` by the ports of the example.

    ``store`` is the user of its gateways. Its certificates are for the host ``localhost``; that of
    a gateway is named by its store. ``more`` stands at the end of the
    configuration. ``port`` (``OPEN``) is a listener without TLS that the example has not.
    """

    def __init__(
        self,
        folder: Path,
        store: str = "STORE",
        gateway: str = "GATEWAY",
        *,
        more: str = "",
        persistent: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / "mosquitto.log")
        self.folder = folder
        self.ports = {port: free_port() for port in (CERTIFICATE, PASSWORD, OPEN)}
        self.authority = Authority(folder / "certs")
        self.authority.issue("server", "localhost")
        self.store = store
        self._stores: list[str] = []
        self.persistent = persistent
        self._programs, self._environment = programs()
        self.allow(gateway)
        self.admit(store)
        self._configure(more)

    def allow(self, gateway: str, more: str = "") -> None:
        """Write the access list of the example, ``GATEWAY`` in it being this one; it holds on
        return."""
        text = (CONFIGURATION / "store-gateway.acl").read_text(encoding="utf-8")
        text = text.replace("STORE", self.store).replace("GATEWAY", gateway)
        (self.folder / "store-gateway.acl").write_text(f"{text}\n{more}\n", encoding="utf-8")
        self._reload()

    def admit(self, store: str) -> None:
        """Add a store: its user, and a certificate of its name. The access list stays."""
        self._stores.append(store)
        self.authority.issue(store)
        self._passwords()
        self._reload()

    def _reload(self) -> None:
        if self._process is not None:
            before = self.log().count(RELOADED)
            self.send(signal.SIGHUP)
            eventually(lambda: self.log().count(RELOADED) > before, START_SECONDS, 0.005)

    def password_file(self, user: str, password: str | None = None) -> Path:
        """A file with the password of a user, or another one."""
        path = self.folder / f"{user}.password"
        path.write_text(f"{PASSWORDS[user] if password is None else password}\n")
        return path

    def start(self) -> None:
        """Start it, on the ports it had before."""
        self.launch(
            [self._programs / "mosquitto", "-c", self.folder / "mosquitto.conf"],
            env=self._environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.await_ready(self._listens, START_SECONDS)

    def kill(self, *, forget: bool = False) -> None:
        """End it as a loss of power would; ``forget``: with all that it kept."""
        super().kill()
        if forget:
            (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def save(self) -> None:
        """Have it write what it keeps, which is what is there after ``kill``."""
        kept = self.folder / "mosquitto.db"
        before = kept.stat().st_ino if kept.exists() else 0
        self.send(signal.SIGUSR1)
        # It writes beside, and then renames.
        eventually(lambda: kept.exists() and kept.stat().st_ino != before, START_SECONDS, 0.02)

    def _listens(self) -> bool:
        for port in self.ports.values():
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
            except OSError:
                return False
        return True

    def _passwords(self) -> None:
        """As mosquitto_passwd writes them: PBKDF2 with SHA-512."""
        from base64 import b64encode

        lines = []
        others = {user: word for user, word in PASSWORDS.items() if user != "gateway"}
        users = {**others, **dict.fromkeys(self._stores, PASSWORDS["gateway"])}
        for user, password in users.items():
            salt = os.urandom(12)
            digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
            shown = f"$7$101${b64encode(salt).decode()}${b64encode(digest).decode()}"
            lines.append(f"{user}:{shown}\n")
        (self.folder / "passwords").write_text("".join(lines))

    def _configure(self, more: str) -> None:
        text = (CONFIGURATION / "mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("/etc/mosquitto/", f"{self.folder}/")
        text = text.replace("/var/lib/mosquitto/", f"{self.folder}/")
        for port, ours in self.ports.items():
            text = text.replace(f"listener {port}\n", f"listener {ours} 127.0.0.1\n")
        text += f"\nlistener {self.ports[OPEN]} 127.0.0.1\n"
        if os.getuid() == 0:
            text = f"user root\n{text}"
        if not self.persistent:
            text = text.replace("persistence true", "persistence false")
        (self.folder / "mosquitto.conf").write_text(f"{text}\n{more}\n", encoding="utf-8")


def office(broker: MosquittoBroker) -> Mapping[str, str]:
    """User and password of the example's back office."""
    return {"user": "office", "password": PASSWORDS["office"]}
