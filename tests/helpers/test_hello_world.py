"""The function itself, as Lambda invokes it."""

import importlib.util
import json

import pytest

from helpers.base.settings import ROOT


@pytest.fixture
def handler():
    spec = importlib.util.spec_from_file_location("hello_world", ROOT / "lambda" / "hello_world.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


def test_page_has_the_length_shown_in_the_article(handler):
    answer = handler({"path": "/hello-world", "headers": {}}, None)
    assert len(answer["body"].encode()) == 258
    assert "Hello World from Lambda" in answer["body"]
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert answer["statusCode"] == 200


def test_log_line_has_path_and_traceparent(handler, capsys):
    handler({"path": "/hello-world", "headers": {"traceparent": "00-aa-bb-01"}}, None)
    assert json.loads(capsys.readouterr().out) == {"path": "/hello-world", "traceparent": "00-aa-bb-01"}


def test_health_check_without_headers_is_answered(handler, capsys):
    assert handler({"path": "/", "headers": None}, None)["statusCode"] == 200
    assert json.loads(capsys.readouterr().out)["traceparent"] is None
