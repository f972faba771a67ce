"""The one settings object: which clouds to use, and the few names that may differ.

Values come from the TOML file that $TUTORIAL_SETTINGS names (default: tutorial.toml in the project's root,
which is the lab's; with TARGET=cloud, cloud.toml) and from the environment. Our own names begin with
TUTORIAL_, and for these, the environment takes precedence. The others are names that the clouds' tools use,
which a shell may set for other work: for these, the file does, and KUBECONFIG in the environment is always
ignored.
"""

import functools
import ipaddress
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from helpers.base import environment
from helpers.base.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]

# The endpoints of the clouds' APIs, if not the default ones.
ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
)
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# What child processes and the SDKs read from the environment; only values that are set are passed on.
_FOR_CHILDREN = (
    *ENDPOINTS,
    *_AWS_KEYS,
    "AWS_REGION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
)
# Settings that were renamed when all got the prefix TUTORIAL_; all others got the prefix only.
_RENAMED = {
    "ZONE": "TUTORIAL_ROUTE53_ZONE",
    "CALLER": "TUTORIAL_AUTHORIZED_CIDR",
    "STATE": "TUTORIAL_BUILD_DIR",
    "OUTSIDE": "TUTORIAL_OUTSIDE_COMMAND",
    "INSIDE_VPC": "TUTORIAL_INSIDE_VPC_COMMAND",
    "STATUS": "TUTORIAL_STATUS_COMMAND",
}


# What a value must look like, and the message for one that does not match.
_FORMS = {
    # With "-hello-world" appended, it must fit into a target group's name: 32 characters.
    "TUTORIAL_NAME": (
        r"[a-z][a-z0-9-]{0,18}[a-z0-9]",
        "2 to 20 lowercase letters, digits and dashes, a letter first",
    ),
    "TUTORIAL_ROUTE53_ZONE": (
        r"public|private|[0-9A-Z]{1,32}",
        "public, private, or the ID of a public zone such as Z0123456789ABC",
    ),
    "AWS_REGION": (
        r"[a-z]{2}(-[a-z]+)+-\d",
        "a region like us-east-1 (not a zone such as us-east-1a)",
    ),
    "GOOGLE_CLOUD_LOCATION": (
        r"[a-z]+-[a-z]+\d+(-[a-z])?",
        "a zone like us-central1-a, or a region like us-central1",
    ),
    "TUTORIAL_ISTIO_REVISION": (
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "lowercase letters, digits and dashes, like 1-30 (a dot is not allowed)",
    ),
}


def _is_ours(name: str) -> bool:
    return name.startswith("TUTORIAL_")


def _words(value: object) -> object:
    """A command prefix may be given as one string, as in a shell."""
    return shlex.split(value) if isinstance(value, str) else value


def _from_root(value: object) -> object:
    return ROOT / Path(str(value)).expanduser() if value not in (None, "") else None


Command = Annotated[list[str], NoDecode, BeforeValidator(_words)]
FromRoot = Annotated[Path, BeforeValidator(_from_root)]
OptionalPath = Annotated[Path | None, BeforeValidator(_from_root)]


class _Environment(EnvSettingsSource):
    """The values in the environment of our own names, or of those that the clouds' tools use."""

    def __init__(self, settings_cls: type[BaseSettings], ours: bool) -> None:
        super().__init__(settings_cls)
        self._ours = ours

    def __call__(self) -> dict[str, Any]:
        values = {name: value for name, value in super().__call__().items() if _is_ours(name) == self._ours}
        # The tutorial must not write into a shell's kubeconfig.
        values.pop("KUBECONFIG", None)
        # A session token belongs to the keys that it was issued with.
        if not self._ours and "AWS_ACCESS_KEY_ID" in self.current_state:
            values = {name: value for name, value in values.items() if name not in _AWS_KEYS}
        return values


class Settings(BaseSettings):
    """Validated settings. Paths are relative to the project's root."""

    model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, extra="forbid")

    TUTORIAL_NAME: str = "istio-multicloud"
    TUTORIAL_DOMAIN: str = "example.com"
    TUTORIAL_ROUTE53_ZONE: str = "public"
    TUTORIAL_CERTIFICATE: Literal["private-ca", "acm"] = "private-ca"
    TUTORIAL_ACM_ROOTS: OptionalPath = None
    TUTORIAL_AUTHORIZED_CIDR: str = "https://checkip.amazonaws.com"
    TUTORIAL_BUILD_DIR: FromRoot = ROOT / "build"
    TUTORIAL_TOOLS: OptionalPath = None
    TUTORIAL_CONNECT_TIMEOUT: float = Field(default=3, gt=0, le=300)
    TUTORIAL_OUTSIDE_COMMAND: Command = []
    TUTORIAL_INSIDE_VPC_COMMAND: Command = []
    TUTORIAL_STATUS_COMMAND: Command = []
    TUTORIAL_CURL_IMAGE: str = "curlimages/curl:8.17.0"
    TUTORIAL_TOOLS_IMAGE: str = "nicolaka/netshoot:v0.13"
    TUTORIAL_READ_ONLY: bool = False

    AWS_ENDPOINT_URL: str | None = None
    AWS_REGION: str = "us-east-1"
    AWS_ACCESS_KEY_ID: str | None = None
    AWS_SECRET_ACCESS_KEY: str | None = None
    AWS_SESSION_TOKEN: str | None = None

    GOOGLE_CLOUD_PROJECT: str | None = None
    GOOGLE_APPLICATION_CREDENTIALS: OptionalPath = None
    GOOGLE_CLOUD_LOCATION: str = "us-central1-a"
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: str | None = None
    CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER: str | None = None

    KUBECONFIG: FromRoot = Field(default_factory=lambda others: others["TUTORIAL_BUILD_DIR"] / "kubeconfig")
    # istioctl 1.30 defaults to registry.istio.io, which is being retired:
    # https://istio.io/latest/news/releases/1.31.x/announcing-1.31/upgrade-notes/
    TUTORIAL_ISTIO_HUB: str = "docker.io/istio"
    TUTORIAL_ISTIO_TAG: str = "1.30.5"
    TUTORIAL_ISTIO_REVISION: str = "1-30"
    # A file or a URL. The version that Istio 1.30 is built with:
    # https://github.com/istio/istio/blob/1.30.0/go.mod
    TUTORIAL_GATEWAY_API: str = (
        "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        ours, others = _Environment(settings_cls, ours=True), _Environment(settings_cls, ours=False)
        return init_settings, ours, file, others

    @model_validator(mode="before")
    @classmethod
    def _no_old_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        named = {name: _RENAMED.get(name, f"TUTORIAL_{name}") for name in given}
        if old := [f"{name} is now {new}" for name, new in named.items() if new in cls.model_fields]:
            raise ValueError("; ".join(old))
        return given

    @field_validator(*_FORMS)
    @classmethod
    def _form(cls, value: str, field: ValidationInfo) -> str:
        pattern, expected = _FORMS[str(field.field_name)]
        if not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    @field_validator("TUTORIAL_DOMAIN")
    @classmethod
    def _domain(cls, domain: str) -> str:
        label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
        if not re.fullmatch(rf"({label}\.)+[a-z]{{2,63}}", domain) or len(domain) > 240:
            raise ValueError("a domain like example.com: at least two labels, no scheme, no path, lowercase")
        return domain

    @field_validator(*ENDPOINTS)
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
            raise ValueError("a URL like http://127.0.0.1:4566")
        return url

    @field_validator("KUBECONFIG")
    @classmethod
    def _own_kubeconfig(cls, path: Path) -> Path:
        if path == Path(os.path.expanduser("~/.kube/config")) or os.pathsep in str(path):
            raise ValueError("one file, for the tutorial only: it never writes into ~/.kube/config")
        return path

    @field_validator("TUTORIAL_AUTHORIZED_CIDR")
    @classmethod
    def _caller(cls, caller: str) -> str:
        if urlsplit(caller).scheme not in ("http", "https"):
            try:
                ipaddress.IPv4Network(caller)
            except ValueError as wrong:
                raise ValueError(f"an address, a range like 203.0.113.0/24, or a URL ({wrong})") from None
        return caller

    @model_validator(mode="after")
    def _validation_needs_the_public(self) -> Self:
        if (self.TUTORIAL_CERTIFICATE, self.TUTORIAL_ROUTE53_ZONE) == ("acm", "private"):
            raise ValueError(
                'TUTORIAL_CERTIFICATE = "acm" needs TUTORIAL_ROUTE53_ZONE = "public": '
                "ACM looks for its record in public DNS"
            )
        return self

    @property
    def alb_host(self) -> str:
        """The load balancer's name in public DNS."""
        return f"alb.{self.TUTORIAL_DOMAIN}"

    def environment(self) -> dict[str, str]:
        """The environment for child processes, so that every tool uses the same clouds."""
        own = {
            **self._for_tools(),
            "AWS_DEFAULT_REGION": self.AWS_REGION,
            "AWS_PAGER": "",
            # Instead of ~/.kube/cache.
            "KUBECACHEDIR": str(self.TUTORIAL_BUILD_DIR / "kube-cache"),
        }
        return environment.for_programs(own, [str(self.TUTORIAL_TOOLS)] if self.TUTORIAL_TOOLS else [])

    def shield(self) -> None:
        """Remove from this process's environment whatever contradicts these settings."""
        environment.shield_this_process(self._for_tools())

    def _for_tools(self) -> dict[str, str]:
        return {name: str(getattr(self, name)) for name in _FOR_CHILDREN if getattr(self, name) is not None}


def settings_file() -> Path:
    """The settings file that is used; it need not exist."""
    return ROOT / os.environ.get("TUTORIAL_SETTINGS", "tutorial.toml")


def in_the_file() -> set[str]:
    """The names that are set in the settings file."""
    return set(tomllib.loads(settings_file().read_text(encoding="utf-8")))


_overrides: dict[str, Any] = {}


@functools.cache
def current() -> Settings:
    """The settings, read once per process, which is then shielded from what a shell sets for other work.

    Raises SettingsError, which names every invalid value and what is expected.
    """
    action = f"Reading the settings (environment, {settings_file().name})"
    try:
        settings = Settings(**_overrides)
    except ValidationError as wrong:
        lines = [_place(error) + error["msg"].removeprefix("Value error, ") for error in wrong.errors()]
        raise SettingsError(action, "; ".join(lines), "correct the value and run again.") from None
    except ValueError as wrong:
        raise SettingsError(action, str(wrong), "correct the file: it must be TOML.") from None
    settings.shield()
    return settings


def of_named_clouds() -> Settings:
    """The settings, for calls to the clouds.

    Raises SettingsError if there is no settings file: the SDKs would find the reader's own accounts.
    """
    if not (file := settings_file()).exists():
        hint = "run make up for the lab, or name the file for your accounts: TUTORIAL_SETTINGS=cloud.toml"
        raise SettingsError("Choosing the clouds", f"{file.name} is missing", hint)
    return current()


@contextmanager
def override(**values: Any) -> Iterator[None]:
    """Use these values inside the block, whatever the environment and the file say."""
    before = dict(_overrides)
    _overrides.update(values)
    current.cache_clear()
    try:
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)
        current.cache_clear()


def _place(error: Mapping[str, Any]) -> str:
    """The setting and its value; nothing if several settings are incompatible."""
    return f"{'.'.join(str(part) for part in error['loc'])} = {error['input']!r}: " if error["loc"] else ""
