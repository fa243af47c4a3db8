import json

import pytest

from boxcar.slack import SlackError, SlackSecret, is_signed, message, post, read_secret, signature_of
from tests.unit.slack.conftest import SlackServer

# The example of docs.slack.dev, "Verifying requests from Slack".
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = "1531420618"
BODY = (
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


class Secrets:
    def __init__(self, text: str) -> None:
        self.text = text

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - as boto3 names it
        return {"SecretString": self.text}


def test_the_signature_is_slacks():
    assert signature_of(SECRET, AT, BODY) == SIGNATURE
    assert is_signed(SECRET, AT, SIGNATURE, BODY, now=int(AT) + 299)


@pytest.mark.parametrize(
    ("secret", "at", "signature", "body", "now"),
    [
        (SECRET, AT, SIGNATURE, BODY + "x", int(AT)),
        ("another", AT, SIGNATURE, BODY, int(AT)),
        ("", AT, signature_of("", AT, BODY), BODY, int(AT)),
        (SECRET, AT, SIGNATURE, BODY, int(AT) + 301),
        (SECRET, AT, SIGNATURE, BODY, int(AT) - 301),
        (SECRET, str(int(AT) + 1), SIGNATURE, BODY, int(AT)),
        (SECRET, "", "", BODY, int(AT)),
        (SECRET, "soon", SIGNATURE, BODY, int(AT)),
        (SECRET, "١", SIGNATURE, BODY, 1),
        (SECRET, AT, "v0=é", BODY, int(AT)),
    ],
)
def test_what_slack_did_not_sign_just_now_is_refused(secret, at, signature, body, now):
    assert not is_signed(secret, at, signature, body, now)


def test_a_message_reaches_the_webhook_and_markup_in_data_stays_data(slack_server: SlackServer):
    post(slack_server.url, message("packaging/box <!channel> failed", "a & b\n```<@U1>"))
    (sent,) = slack_server.messages
    assert sent["blocks"][0]["text"] == {
        "type": "plain_text",
        "text": "packaging/box <!channel> failed",
        "emoji": False,
    }
    assert sent["blocks"][1]["text"]["text"] == "```\na &amp; b\n'''&lt;@U1&gt;\n```"
    assert "<!channel>" not in sent["text"]


def test_a_message_is_as_long_as_slack_takes_it():
    long = message("t" * 500, "&" * 9000)
    assert len(long["blocks"][0]["text"]["text"]) == 150 and len(long["blocks"][1]["text"]["text"]) <= 3000


def test_a_refusal_says_what_slack_said_and_not_the_address(slack_server: SlackServer):
    slack_server.answers.append((404, "no_service"))
    with pytest.raises(SlackError, match="404: no_service") as refused:
        post(slack_server.url, message("t", "x"))
    assert "services/T0" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/services/T0", "file:///etc/passwd", "", "http://", "https://a b/"])
def test_an_address_where_nobody_answers_is_not_told(url):
    with pytest.raises(SlackError) as refused:
        post(url, message("t", "x"))
    assert not url or url not in str(refused.value)


def test_the_secret_is_read_and_never_shown():
    known = read_secret(
        Secrets(json.dumps({"webhook_url": "https://hooks.slack.com/x", "signing_secret": "s3cret"})), "arn"
    )
    assert known == SlackSecret("https://hooks.slack.com/x", "s3cret")
    assert "s3cret" not in repr(known) and "hooks" not in repr(known)


@pytest.mark.parametrize("text", ["s3cret", "[]", '{"webhook_url": "s3cret"}', '{"signing_secret": 7}', ""])
def test_a_secret_of_another_shape_is_refused_without_saying_it(text):
    with pytest.raises(SlackError, match="signing_secret") as refused:
        read_secret(Secrets(text), "arn:aws:secretsmanager:eu-west-1:1:secret:slack")
    assert "s3cret" not in str(refused.value)
