"""A reader whose shell and home are full of settings for other work, which must neither apply nor change."""

from pathlib import Path

NOWHERE = "http://127.0.0.1:9"  # the port "discard", where nothing listens
_HOME = {
    ".aws/config": f"[default]\nregion = eu-west-3\nendpoint_url = {NOWHERE}\n"
    "role_arn = arn:aws:iam::1:role/x\nsource_profile = none\nservices = local\n"
    f"s3 =\n  addressing_style = virtual\n[services local]\nec2 =\n  endpoint_url = {NOWHERE}\n",
    ".aws/credentials": "[default]\naws_access_key_id = SOMEBODYELSES\naws_secret_access_key = wrong\n",
    ".boto": "[Credentials]\naws_access_key_id = SOMEBODYELSES\naws_secret_access_key = wrong\n",
    ".config/gcloud/application_default_credentials.json": "{}",
    ".config/gcloud/configurations/config_default": "[core]\nproject = somebody-elses\n",
    ".config/pip/pip.conf": "[install]\nuser = true\n",
    ".curlrc": f'insecure\nproxy = "{NOWHERE}"\nuser-agent = "other"\nsilent\noutput = "answer"\nfail\n',
    ".gitconfig": "[alias]\nlog = !false\n",
    ".ipython/profile_default/ipython_kernel_config.py": "c.IPKernelApp.exec_lines = ['print(\"noise\")']\n",
    ".ipython/profile_default/startup/00-noise.py": 'print("noise")\n',
    ".istioctl/config.yaml": "istioNamespace: elsewhere\nkubeconfig: /nonexistent\n",
    ".jupyter/jupyter_config.json": '{"KernelManager": {"transport": "udp"}}',
    ".kube/config": "apiVersion: v1\nkind: Config\ncurrent-context: production\n"
    f"clusters: [{{name: production, cluster: {{server: {NOWHERE}}}}}]\n"
    "users: [{name: production, user: {}}]\n"
    "contexts: [{name: production, context: {cluster: production, user: production}}]\n",
    ".kube/kuberc": "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
    "defaults: [{command: delete, options: [{name: interactive, default: 'true'}]}]\n",
    ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "Python 3"}',
    ".netrc": "default login somebody password else\n",
    "startup.py": 'print("noise")\n',
    "bashrc": "echo noise; exit 3\n",
    "modules/yaml.py": "raise ImportError('another program has its modules here')\n",
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CLOUDS = {
    "AWS_PROFILE": "somebody-elses", "AWS_DEFAULT_PROFILE": "somebody-elses",
    "AWS_ACCESS_KEY_ID": "SOMEBODYELSES", "AWS_SECRET_ACCESS_KEY": "wrong", "AWS_SESSION_TOKEN": "wrong",
    "AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-3", "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_ENDPOINT_URL_EC2": NOWHERE, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_CA_BUNDLE": "/nonexistent", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_DEFAULTS_MODE": "nonsense", "AWS_MAX_ATTEMPTS": "1", "AWS_RETRY_MODE": "legacy",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent",
    "GOOGLE_CLOUD_PROJECT": "somebody-elses", "GOOGLE_CLOUD_QUOTA_PROJECT": "somebody-elses",
    "GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent", "GOOGLE_CLOUD_LOCATION": "europe-west1",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true", "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "elsewhere.example", "CLOUDSDK_ACTIVE_CONFIG_NAME": "somebody-elses",
    "CLOUDSDK_CORE_PROJECT": "somebody-elses", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": f"{NOWHERE}/",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{NOWHERE}/", "GCE_METADATA_HOST": "127.0.0.1:9",
}  # fmt: skip
_OTHERS = {
    "CALLER": "x", "DOMAIN": "x", "OUTSIDE": "false", "STATE": "x", "STATUS": "false", "ZONE": "x",
    "TOOLS": "/nonexistent",
    "CURL_CA_BUNDLE": "/nonexistent", "SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent",
    "REQUESTS_CA_BUNDLE": "/nonexistent", "ISTIOCTL_ISTIONAMESPACE": "elsewhere",
    "GIT_DIR": "/nonexistent", "GOFLAGS": "-mod=vendor", "GOTOOLCHAIN": "go1.0",
    "LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE", "TZ": "Pacific/Apia", "TERM": "unheard-of", "COLUMNS": "20",
    "FORCE_COLOR": "1", "MPLBACKEND": "module://nowhere",
    "LOCALDOMAIN": "elsewhere.example", "RES_OPTIONS": "ndots:15",
}  # fmt: skip


def home(folder: Path) -> Path:
    """Fill a folder with files from other work."""
    for name, text in _HOME.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """A folder's content, for comparison."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shell(home: Path) -> dict[str, str]:
    """The variables of a shell with that home; TMPDIR has at least 95 characters."""
    temporary = home.with_name(f"{home.name}-{'t' * 95}")
    temporary.mkdir(exist_ok=True)
    proxies = {each: NOWHERE for name in _PROXIES for each in (name, name.lower())}
    own = {
        "HOME": str(home), "CURL_HOME": str(home), "TMPDIR": str(temporary),
        "KUBECONFIG": str(home / ".kube/config"), "SSLKEYLOGFILE": str(home.with_name("keys")),
        "BOTO_CONFIG": str(home / ".boto"), "HOSTALIASES": str(home / ".netrc"),
    }  # fmt: skip
    return {**proxies, **_CLOUDS, **_OTHERS, **own}


def only_for_make(home: Path) -> dict[str, str]:
    """Variables that make unsets: Python and bash obey them before any of our code runs."""
    return {
        "BASH_ENV": str(home / "bashrc"), "CDPATH": "/", "JUPYTER_PATH": str(home / ".local/share/jupyter"),
        "PYTHON": "/nonexistent", "TARGET": "x86_64-linux-gnu",
        "PYTHONPATH": str(home / "modules"), "PYTHONSTARTUP": str(home / "startup.py"),
        "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0",
    }  # fmt: skip
