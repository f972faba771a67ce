"""What a function can access on the machine: Python, AWS's SDK, its own code and /tmp, and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import cgroups
from lab.aws.dataplane.functions import FunctionService, Place
from tests.lab.aws.dataplane.alb import function
from tests.lab.aws.dataplane.functions import COUNT, failure, invoke

if os.getuid():
    pytest.skip("a function's file system needs root", allow_module_level=True)

# Evaluates each of the given expressions: its value, or the name of the exception.
SOURCE = """
import os, pathlib, socket, subprocess, sys
def value(expression):
    try:
        return eval(expression)
    except Exception as error:
        return type(error).__name__
def handler(event, context):
    return [value(expression) for expression in event]
"""
BUILD = """
import os, sys
from pathlib import Path
from lab.aws.dataplane.functions import runtime_image
os.umask(0o077)
print(runtime_image.build(Path(sys.argv[1])))
"""
MEMORY = f"istio-lab-sandbox-{os.getpid()}"
Evaluate = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inaccessible one, of a user with umask 077, that contains keys; one file's mode is too open."""
    home = tmp_path_factory.mktemp("a home")
    home.chmod(0o700)
    for name, mode in (("key", 0o600), ("open-key", 0o644)):
        (home / name).write_text("secret")
        (home / name).chmod(mode)
    return home


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[FunctionService]:
    built = subprocess.run([sys.executable, "-c", BUILD, home / ".cache"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    image = Path(built.stdout.strip())
    service = FunctionService(Place(home / "functions", image, resolver="198.51.100.1", cgroup=f"{MEMORY}/f"))
    yield service
    service.close()
    cgroups.remove(MEMORY)


@pytest.fixture(scope="module")
def evaluate(service: FunctionService) -> Evaluate:
    service.deploy(function("f", SOURCE, memory=512))
    return lambda *expressions: invoke(service, "f", expressions)


def test_its_code_is_in_lambdas_path_and_the_sdk_is_available(evaluate):
    assert evaluate(
        "pathlib.Path('/var/task/app.py').read_text() == pathlib.Path(__file__).read_text()",
        "__import__('boto3').client('s3', region_name='us-east-1').meta.region_name",
        "__import__('ssl').create_default_context().cert_store_stats()['x509_ca'] > 0",
        "subprocess.getoutput('echo $0; head -c 3 /dev/zero | wc -c')",
        "pathlib.Path('/etc/resolv.conf').read_text()",
        "__import__('getpass').getuser()",
        "bool(exit)",
    ) == [True, "us-east-1", True, "/bin/sh\n3", "nameserver 198.51.100.1\n", "sbx_user1051", True]


@pytest.mark.parametrize("module", ["flask", "moto", "yaml", "lab", "helpers", "pip"])
def test_the_labs_packages_are_not_available_to_functions(evaluate, module):
    assert evaluate(f"__import__({module!r})") == ["ModuleNotFoundError"]


def test_tmp_is_its_own_and_has_lambdas_size(service, evaluate):
    name = f"/tmp/sandbox-{os.getpid()}"
    size = "(lambda s: s.f_blocks * s.f_frsize)(os.statvfs('/tmp'))"
    assert evaluate(f"pathlib.Path('{name}').write_text('mine')", "os.listdir('/tmp')", size) == [
        4, [Path(name).name], 512 * 1024**2,
    ]  # fmt: skip
    assert not Path(name).exists()
    service.deploy(function("g", SOURCE))
    assert invoke(service, "g", ["os.listdir('/tmp')"]) == [[]]


def test_files_of_the_machine_are_not_visible(evaluate, home, tmp_path):
    reachable = [home / "key", home / "open-key", "/etc/shadow", "/etc/hostname", __file__, sys.executable]
    folders = ["/root", "/home", "/work", "/run", "/sys", "/var/lib", home, tmp_path, Path.cwd(), "/old"]
    assert all(Path(path).exists() for path in [*reachable, *folders[4:-1]])
    assert set(evaluate(*(f"open({str(path)!r}).read()" for path in reachable))) == {"FileNotFoundError"}
    listed = evaluate(*(f"os.listdir({str(path)!r})" for path in folders))
    assert listed == ["FileNotFoundError"] * (len(folders) - 1) + [[]]


def test_the_code_of_other_functions_is_not_visible(service, evaluate):
    service.deploy(function("other", COUNT))
    invoke(service, "other")
    (code,) = service._place.directory.glob("other-*/root/var/task/app.py")
    assert evaluate("len(list(pathlib.Path('/var').rglob('app.py')))", f"open('{code}').read()") == [
        1, "FileNotFoundError",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "folder", ["/", "/var/task", "/var/lang/lib", "/var/runtime", "/usr", "/etc", "/opt"]
)
def test_only_tmp_is_writable(evaluate, folder):
    assert evaluate(f"open('{folder}/new', 'w').write('x')") == ["OSError"]  # read-only


def test_it_runs_unprivileged(evaluate):
    status = "pathlib.Path('/proc/self/status').read_text()"
    user, groups, text = evaluate("os.getresuid()", "os.getgroups()", status)
    fields = dict(line.split(":\t", 1) for line in text.splitlines())
    assert user[0] >= 1_900_000_000 and len(set(user)) == 1 and groups == []
    assert {int(fields[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert fields["NoNewPrivs"] == "1"


def test_other_processes_are_neither_visible_nor_signalable(service, evaluate):
    service.deploy(function("other", COUNT))
    other = invoke(service, "other")["pid"]
    own, *refused = evaluate(
        "[pid for pid in os.listdir('/proc') if pid.isdigit()] == [str(os.getpid())]",
        f"os.kill({os.getpid()}, 0)",
        f"os.kill({other}, 9)",
        f"open('/proc/{os.getpid()}/environ').read()",
        f"open('/proc/{other}/environ').read()",
    )
    assert own is True
    assert refused == ["PermissionError", "PermissionError", "FileNotFoundError", "FileNotFoundError"]
    assert invoke(service, "other")["n"] == 2


def test_another_functions_runtime_api_does_not_answer(service, evaluate):
    service.deploy(function("other", SOURCE))
    (address,) = invoke(service, "other", ["os.environ['AWS_LAMBDA_RUNTIME_API']"])
    ask = f"socket.create_connection({(*address.split(':'),)!r}, 5)"
    request = (
        "(s.send(b'GET /2018-06-01/runtime/invocation/next HTTP/1.0\\r\\n\\r\\n'), s.recv(9))[1].decode()"
    )
    (answer,) = evaluate(f"[{request} for s in [{ask}]][0]")
    assert answer in ("", "ConnectionResetError")
    assert invoke(service, "other", ["1 + 1"]) == [2]


def test_its_variables_take_effect(service):
    """They can change what the loader, a shell and Python do, but only after root's programs have run."""
    variables = {
        "LD_PRELOAD": "/var/task/none.so",
        "PATH": "/var/task/bin",
        "QUOTE": "it's $HOME\n`id`",
        "ENV": "x",
    }
    service.deploy(
        function("v", "import os\ndef handler(e, c): return dict(os.environ)", environment=variables)
    )
    result = service.invoke("v", b"{}")
    seen = json.loads(result.payload)
    assert seen["QUOTE"] == variables["QUOTE"] and seen["LD_PRELOAD"] == variables["LD_PRELOAD"]
    assert seen["PATH"].startswith("/var/task/bin:/var/lang/bin:")
    # The loader's error is about Python, and not about any program before it.
    assert result.log_tail.count(b"cannot be preloaded") == 1


def test_its_variables_are_not_on_a_command_line(service):
    service.deploy(function("v", COUNT, environment={"PASSWORD": "hidden"}))
    pid = invoke(service, "v")["pid"]
    assert b"hidden" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"hidden" in Path(f"/proc/{pid}/environ").read_bytes()


def test_memory_is_limited_from_the_start(service):
    service.deploy(function("hungry", "x = b'x' * 300_000_000\n" + COUNT, memory=128))
    assert failure(service.invoke("hungry", b"{}"))["errorType"] == "Runtime.OutOfMemory"
    service.deploy(function("hungry", "x = b'x' * 30_000_000\n" + COUNT, memory=128))
    assert invoke(service, "hungry")["n"] == 1
