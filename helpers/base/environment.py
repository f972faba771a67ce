"""Which parts of the reader's environment reach the programs and SDKs that the tutorial uses.

The settings say where the clouds are and which credentials to use. What a shell or a home directory has for
other work (a profile, another endpoint, a login for every host) must not redirect the tutorial.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Environment = dict[str, str]

# The reader's variables that every program gets: user, locale, how to find programs and reach the internet.
_TAKEN_OVER = (
    *("HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "SSH_AUTH_SOCK", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)
_OURS = ("TUTORIAL_", "LAB_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
# https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html, botocore's BOTO_CONFIG
_AWS = ("AWS_", "BOTO_CONFIG")
# google.auth.environment_vars, https://cloud.google.com/sdk/docs/properties#setting_properties_via_environment_variables
_GOOGLE = ("GOOGLE_", "CLOUDSDK_", "GCLOUD_", "GCE_METADATA_", "NO_GCE_CHECK")
_OTHER_KEYS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_NO_AWS_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def for_programs(values: Mapping[str, str], folders: list[str]) -> Environment:
    """The environment of a program that the tutorial starts.

    `values` are the settings that the clouds' tools know by name, `folders` come first on PATH.
    """
    kept = {name: value for name, value in os.environ.items() if _is_taken_over(name, values)}
    path = [*folders, str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    own = {"PATH": os.pathsep.join(path), "LC_ALL": "C.UTF-8"}  # its messages are parsed
    return {**kept, **_defaults(values), **values, **own}


def shield_this_process(values: Mapping[str, str]) -> None:
    """Remove from this process's environment whatever contradicts the settings, so that SDKs don't find it.

    Names that are settings are kept: the SDKs get their values as parameters.
    """
    for name in [name for name in os.environ if _is_foreign(name, values) and name not in values]:
        del os.environ[name]
    os.environ.update(_defaults(values))


@contextmanager
def only(environment: Environment) -> Iterator[None]:
    """Replace this process's environment inside the block."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_taken_over(name: str, values: Mapping[str, str]) -> bool:
    if name.startswith((*_AWS, *_GOOGLE)):
        return not _is_foreign(name, values)
    return name in _TAKEN_OVER or name.startswith(_OURS) or name.lower() in _PROXIES


def _is_foreign(name: str, values: Mapping[str, str]) -> bool:
    """Whether a variable of the clouds' tools would override the settings."""
    if name.startswith(_AWS):
        keys = "AWS_ACCESS_KEY_ID" in values
        return keys and ("AWS_ENDPOINT_URL" in values or name in _OTHER_KEYS)
    if name.startswith(_GOOGLE):
        return {"CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "GOOGLE_APPLICATION_CREDENTIALS"} <= set(values)
    return False


def _defaults(values: Mapping[str, str]) -> Environment:
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    no_proxy = ",".join(dict.fromkeys([*filter(None, given.split(",")), *_LOOPBACK]))
    found = {"no_proxy": no_proxy, "NO_PROXY": no_proxy, "NETRC": os.devnull}
    return found | (_NO_AWS_FILES if _is_foreign("AWS_CONFIG_FILE", values) else {})
