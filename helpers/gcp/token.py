"""The credential plugin of istioctl and kubectl for GKE: prints an access token of the default credentials.

It does what Google's gke-gcloud-auth-plugin does, which is not on PyPI. They run it as
`python -m helpers.gcp.token`; the answer is an ExecCredential:
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
"""

import json
import sys

import google.auth
import google.auth.exceptions
from google.auth.transport.requests import Request

from helpers.gcp import SCOPES


def main() -> None:
    """Print the ExecCredential; exit code 1 and a message where there are no credentials."""
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
        credentials.refresh(Request())
    except google.auth.exceptions.GoogleAuthError as error:
        sys.exit(f"No access token of Google: {error}. Try: gcloud auth application-default login")
    token_status = {"token": credentials.token}
    if credentials.expiry:
        token_status["expirationTimestamp"] = credentials.expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1",
        "status": token_status,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
