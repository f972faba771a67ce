"""The GKE version that the lab offers, and the forms in which it can be requested."""

import re

from google.cloud.container_v1.types import ReleaseChannel, ServerConfig

from lab.binaries import KUBERNETES_VERSION
from lab.gcp.api.errors import invalid

VERSION = f"{KUBERNETES_VERSION.removeprefix('v')}-gke.1000"
IMAGE_TYPE = "COS_CONTAINERD"


def check(version: str) -> None:
    """Accept "", "-", "latest", 1.X, 1.X.Y and 1.X.Y-gke.N, as Cluster.initial_cluster_version does."""
    if version in ("", "-", "latest", VERSION):
        return
    if re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        if VERSION.startswith((f"{version}.", f"{version}-")):
            return
        raise invalid(f'No valid versions with the prefix "{version}" found.')
    raise invalid(f'Master version "{version}" is unsupported.')


def server_config() -> ServerConfig:
    channel = ServerConfig.ReleaseChannelConfig
    return ServerConfig(
        default_cluster_version=VERSION,
        valid_master_versions=[VERSION],
        valid_node_versions=[VERSION],
        default_image_type=IMAGE_TYPE,
        valid_image_types=[IMAGE_TYPE],
        channels=[
            channel(channel=name, default_version=VERSION, valid_versions=[VERSION])
            for name in (
                ReleaseChannel.Channel.RAPID,
                ReleaseChannel.Channel.REGULAR,
                ReleaseChannel.Channel.STABLE,
            )
        ],
    )
