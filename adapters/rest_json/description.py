"""What a description of a platform may say: the shapes behind the TOML file and its JSON Schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from adapters.rest_json.places import Key, Places, path_in
from core.errors import BashuError, Reason, Turn

SCHEMA: Final = "bashu-rest-json/1"
MAX_FILE_BYTES: Final = 256 * 1024

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
FailureName = Literal[
    "DENIED", "FAILED", "HTTP", "MAINTENANCE", "MALFORMED", "NOT_ANSWERED", "NOT_FOUND", "PENDING", "QUOTA"
]


class DescriptionError(BashuError):
    """A description cannot be used; the message names file, line and what was expected, never a secret."""

    def __init__(self, file: Path, line: int, expected: str) -> None:
        super().__init__(
            Reason.MALFORMED, f"{file.name}:{line}: {expected}", metadata={"line": str(line)}, turn=Turn.OPERATOR
        )
        self.line: Final = line
        self.expected: Final = expected


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all parts: an unknown key is refused."""


class ApiKey(_Part, frozen=True, tag="api_key", tag_field="kind"):
    """A fixed key in a header; the key is the content of the secret file ``api_key``."""

    header: HeaderName = "Authorization"
    prefix: Annotated[str, msgspec.Meta(max_length=20)] = ""


class Hmac(_Part, frozen=True, tag="hmac", tag_field="kind"):
    r"""A signature of each call, hex; the key is the content of the secret file ``hmac_key``.

    ``message`` is signed; besides a template's variables it knows ``{method}``, ``{target}`` (path with query),
    ``{timestamp}`` (seconds since 1970), ``{nonce}`` (32 hex digits) and ``{body_digest}`` (hex, same hash).
    """

    header: HeaderName
    timestamp_header: HeaderName
    nonce_header: HeaderName
    message: Text = "{method}\n{target}\n{timestamp}\n{nonce}\n{body_digest}"
    hash: Literal["sha256", "sm3"] = "sha256"


class OAuth2(_Part, frozen=True, tag="oauth2", tag_field="kind"):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4); secret file ``client``: ``{"client_id", "client_secret"}``.

    The token (RFC 6750 bearer) is asked for at ``token_path`` and renewed a minute before it ends.
    """

    token_path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]{0,200}$")]
    scope: Annotated[str, msgspec.Meta(max_length=200)] = ""


class MutualTls(_Part, frozen=True, tag="mutual_tls", tag_field="kind"):
    """Nothing but the client certificate, which every kind may use besides."""


class Limits(_Part, frozen=True):
    """What one process may do to the platform at once: its published limits."""

    in_flight: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    per_second: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 10.0
    burst: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 10.0
    max_answer_kib: Annotated[int, msgspec.Meta(ge=1, le=2048)] = 1024


class ErrorRow(_Part, frozen=True):
    """One line of the error table: an HTTP status, or a member of the answer that equals a text, is a failure."""

    failure: FailureName
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    path: Text | None = None
    equals: str | int | bool | None = None
    resume_after_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60


class Field(_Part, frozen=True):
    """How one field of the standard is read: ``path`` (or ``paths``) and ``as``, or a fixed ``const``.

    ``values`` turns the platform's codes into the standard's; another code is kept as it came and marked.
    """

    path: Text | None = None
    paths: Annotated[list[Text], msgspec.Meta(min_length=2, max_length=3)] | None = None
    conversion: str | None = msgspec.field(default=None, name="as")
    const: str | None = None
    values: dict[str, str] | None = None


class AsOf(_Part, frozen=True):
    """Which moment the data describe: a member of the answer, or a header."""

    path: Text | None = None
    header: HeaderName | None = None
    conversion: Literal["day", "epoch_ms", "compact"] = msgspec.field(default="day", name="as")


class Pages(_Part, frozen=True):
    """Pages by number, from 1: names of both query parameters, rows a page, and where the total stands."""

    number: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]{1,40}$")]
    size: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]{1,40}$")]
    rows: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    total: Text


class Module(_Part, frozen=True):
    """One call for one data item of the standard.

    ``rows``: where the rows stand (an object is one row; absent means the whole answer). ``subject``: whose answer it
    is, compared with who was asked about. ``personal``: members of a row that belong to a natural person; they are
    dropped and counted. ``lacks``: required fields of the standard that this platform does not have.
    """

    item: Text
    path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]{0,400}$")]
    subject: Text
    fields: dict[str, str | Field]
    method: Literal["GET", "POST"] = "GET"
    query: dict[str, str] = {}
    body: dict[str, str] = {}
    rows: Text | None = None
    as_of: AsOf | None = None
    pages: Pages | None = None
    department: Annotated[str, msgspec.Meta(max_length=200)] = ""
    personal: list[Text] = []
    lacks: list[str] = []


class Description(_Part, frozen=True):
    """The whole file."""

    schema: Literal["bashu-rest-json/1"]
    mapping_version: Annotated[str, msgspec.Meta(pattern=r"^[\w./-]{1,64}$")]
    auth: ApiKey | Hmac | OAuth2 | MutualTls
    purposes: dict[str, Text]
    modules: Annotated[list[Module], msgspec.Meta(min_length=1, max_length=64)] = msgspec.field(name="module")
    headers: dict[HeaderName, Text] = {}
    limits: Limits = Limits()
    errors: Annotated[list[ErrorRow], msgspec.Meta(max_length=64)] = msgspec.field(default=[], name="error")


class Source:
    """A description as read: its values, and where they stand."""

    def __init__(self, file: Path, text: str) -> None:
        self.file: Final = file
        self._places: Final = Places(text)
        self.description: Final = self._read(text)

    def wrong(self, path: tuple[Key, ...], expected: str) -> DescriptionError:
        """Return the error of what stands at ``path``."""
        return DescriptionError(self.file, self._places.line(path), expected)

    def _read(self, text: str) -> Description:
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise DescriptionError(self.file, _line_of(error, text), "TOML 1.0: " + str(error)) from None
        try:
            return msgspec.convert(raw, Description)
        except msgspec.ValidationError as error:
            path, expected = path_in(str(error))
            raise self.wrong(path, f"{'.'.join(map(str, path)) or 'the file'}: {expected}") from None


def read_description(file: Path) -> Source:
    """Read a description. Raises DescriptionError, and OSError where the file cannot be read."""
    with file.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise DescriptionError(file, 1, f"a file of at most {MAX_FILE_BYTES // 1024} KiB")
    try:
        return Source(file, content.decode())
    except UnicodeDecodeError:
        raise DescriptionError(file, 1, "UTF-8") from None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a description, for editors."""
    schema = msgspec.json.schema(Description)
    title = "巴蜀声明式适配器 Bashu declarative adapter"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | schema


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the line a TOML error names; an end that came too early is the last one."""
    words = str(error).partition("(at line ")[2].partition(",")[0]
    return int(words) if words.isdecimal() else text.count("\n") + 1
