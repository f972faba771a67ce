"""Where a lab keeps its files, and settings that all of its parts share."""

import os
import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = "istio-multicloud-lambda"
ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
ACM_ROOT = "acm-root.pem"  # below a lab's data: the root CA of its ACM
GOOGLE_PROJECT = "lab-project"
GOOGLE_LOCATION = "us-central1-a"


def _cache() -> Path:
    # A relative path is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path(os.path.expanduser("~/.cache"))) / PROJECT


class Lab(BaseSettings):
    """One lab on this machine. Labs with different names are independent."""

    model_config = SettingsConfigDict(env_prefix="LAB_")

    name: str = "lab"
    owner_uid: int = Field(default_factory=os.getuid)
    owner_gid: int = Field(default_factory=os.getgid)
    cache: Path = Field(default_factory=_cache)
    aws_port: int = Field(default=0, ge=0, le=65535)  # 0: any free port
    gke_port: int = Field(default=0, ge=0, le=65535)

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        # Part of cgroup names, of Unix socket paths (107 bytes at most) and of interface names.
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}", name):
            raise ValueError("LAB_NAME must be 1 to 20 lowercase letters, digits and dashes")
        return name

    @field_validator("cache")
    @classmethod
    def _absolute(cls, cache: Path) -> Path:
        if not cache.is_absolute():
            raise ValueError("LAB_CACHE must be an absolute path")  # the daemon is started in /
        return cache

    @property
    def run(self) -> Path:
        """Sockets, namespaces and process ids; deleted at a reboot."""
        return Path("/run/istio-lab") / self.name

    @property
    def data(self) -> Path:
        """All other files of a running lab; `down` deletes it."""
        return Path("/var/lib/istio-lab") / self.name

    @property
    def own_images(self) -> Path:
        """Your own container images, as archives."""
        return self.data / "images"

    @property
    def cgroup(self) -> str:
        """The cgroup of all of this lab's processes."""
        return f"istio-lab-{self.name}"
