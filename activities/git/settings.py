"""What people may write about a git target: a repository, how it is reached, and what is written in which file."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from activities.yaml_edits import Scalar
from activities.yaml_paths import read_path
from domain.value import Duration, Value

PLACEHOLDERS: Final = (
    "version", "release", "digest", "image", "repository", "service", "environment", "component",
)  # fmt: skip
_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SCP: Final = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?![:/]/)[^:].*")
_HELPER: Final = re.compile(r"[A-Za-z0-9+.-]*::.*", re.DOTALL)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_BRANCH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/.+@#-]*")
_NOT_IN_BRANCH: Final = re.compile(r"\.\.|//|@\{|/\.|\.lock(/|$)|[/.]$")
_AUTHOR: Final = re.compile(r"([^<>\x00-\x1f\x7f]{1,100}?) <([^<>\s\x00-\x1f\x7f]{1,200})>")
_VARIABLE: Final = re.compile(r"(?!TOWPATH_|TEMPORAL_)[A-Za-z_][A-Za-z0-9_]*")


def _address(text: str) -> str:
    if _UNPRINTABLE.search(text) or text.startswith("-") or _HELPER.fullmatch(text):
        raise ValueError(
            f"“{text[:120]}” is not the address of a repository that is read by https, ssh or from a path"
        )
    if "://" not in text:
        return text
    split = urlsplit(text)
    if split.scheme not in {"https", "http", "ssh", "file"}:
        raise ValueError(f"{split.scheme}:// is not used here; write https://, ssh:// or a path")
    if split.scheme != "file" and not re.fullmatch(r"[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*", split.hostname or ""):
        raise ValueError(f"“{text[:120]}” names no host")
    if split.password is not None or (split.username and split.scheme != "ssh"):
        raise ValueError("a name or a password does not belong into an address; write them under credentials")
    return text


def _branch(text: str) -> str:
    if not _BRANCH.fullmatch(text) or _NOT_IN_BRANCH.search(text):
        raise ValueError(f"“{text[:120]}” cannot be the name of a branch")
    return text


def _author(text: str) -> str:
    if not _AUTHOR.fullmatch(text):
        raise ValueError(f"“{text[:120]}” is no author; write it as in Release Bot <releases@shop.example>")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            "this is the name of a variable of the worker's, such as FLEET_TOKEN, never the password itself; "
            "TOWPATH_… and TEMPORAL_… are kept from git"
        )
    return text


def _inside(text: str) -> str:
    parts = text.split("/")
    if any(part in {"", ".", ".."} or part.casefold().rstrip(" .") == ".git" for part in parts):
        raise ValueError(
            f"“{text[:120]}” is no path inside of a repository: write it from its top, as in apps/web/values.yaml"
        )
    if re.search(r"[\x00-\x1f\x7f\\]", text):
        raise ValueError(f"“{text[:120]!r}” has signs in it that a path here cannot have")
    return text


def _template(text: Scalar) -> Scalar:
    unknown = [name for name in _PLACEHOLDER.findall(str(text)) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"nothing is known of {{{unknown[0]}}}; there is {known}")
    if isinstance(text, str) and not text.isprintable():
        raise ValueError("a value is one line of text")
    return text


def _path(text: str) -> str:
    read_path(text)
    return text


Inside = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_inside)]
Template = Annotated[Scalar, AfterValidator(_template)]
Word = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_template)]


class Credentials(Value):
    """Who we are to the repository's host. Nothing secret is written here, only where it is."""

    username: str = Field(default="git", pattern=r"^[^\x00-\x1f\x7f'\"]{1,200}$")
    password: Annotated[str, AfterValidator(_variable)] | None = None
    key: str | None = Field(default=None, min_length=1)
    known_hosts: str | None = Field(default=None, min_length=1)


class Write(Value):
    """One thing to be written: a value of a file, an image of a kustomization, or files of the release."""

    file: Inside | None = None
    folder: Inside | None = None
    path: Annotated[str, AfterValidator(_path)] | None = None
    value: Template | None = None
    document: dict[Annotated[str, AfterValidator(_path)], str] = {}
    image: str | None = Field(default=None, min_length=1, max_length=500)
    tag: Word | None = None
    pin: Word | None = Field(default=None, alias="digest")
    name: Word | None = None
    source: Inside | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.file is None) == (self.folder is None):
            raise ValueError("write either file: or folder:")
        kinds = [name for name in ("path", "image", "source") if getattr(self, name) is not None]
        if self.folder is not None and kinds not in ([], ["source"]):
            raise ValueError("a folder is replaced by files of the release; it has from: at most")
        if self.file is not None and len(kinds) != 1:
            raise ValueError(
                "a file has one of path: (a value in it), image: (of a kustomization) and from: (of the release)"
            )
        if (self.path is None) != (self.value is None):
            raise ValueError("path: and value: belong together")
        if self.image is None and (self.tag or self.pin or self.name):
            raise ValueError("tag:, digest: and name: belong to image:")
        if self.document and self.path is None:
            raise ValueError("document: says in which one path: is looked for")
        return self

    @property
    def where(self) -> str:
        """The file or folder in the repository."""
        return self.file or self.folder or ""

    @property
    def is_copy(self) -> bool:
        """Whether files of the release are put there as they are."""
        return self.folder is not None or self.source is not None

    @property
    def of_image(self) -> dict[str, str]:
        """What an entry of a kustomization's images says, by its own keys."""
        said = {"newName": self.name, "newTag": self.tag, "digest": self.pin}
        given = {key: str(text) for key, text in said.items() if text is not None}
        return given or {"newTag": "{version}"}


class GitSettings(Value):
    """What people may write about a git target."""

    repository: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_address)]
    branch: Annotated[str, AfterValidator(_branch)] = "main"
    review: Annotated[str, AfterValidator(_branch)] | None = None
    write: tuple[Write, ...] = Field(min_length=1, max_length=50)
    author: Annotated[str, AfterValidator(_author)] = "Towpath <towpath@localhost>"
    credentials: Credentials | None = None
    timeout: Duration = timedelta(minutes=2)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.review == self.branch:
            raise ValueError("review: is a branch of its own, which is merged into branch:")
        split = urlsplit(self.repository)
        password = self.credentials.password if self.credentials else None
        if password and split.scheme not in {"https", "http"}:
            raise ValueError(
                "credentials.password is for https://; ssh has credentials.key, and a path needs none"
            )
        if password and split.scheme == "http" and split.hostname not in _HERE:
            raise ValueError(
                "a password is not sent over http://, where everybody on the way can read it; write https://"
            )
        self._no_two_in_one_place()
        return self

    def _no_two_in_one_place(self) -> None:
        copied = [one.where for one in self.write if one.is_copy]
        for one in self.write:
            inside = [at for at in copied if f"{one.where}/".startswith(f"{at}/")]
            if len(inside) > one.is_copy:
                raise ValueError(f"{one.where} would be written twice; say once what is to be there")

    @property
    def who(self) -> tuple[str, str]:
        """The author's name and address."""
        name, mail = self.author.rsplit(" <", 1)
        return name, mail.removesuffix(">")

    def where_from(self, folder: Path) -> str:
        """The address; a path begins at this folder."""
        is_path = "://" not in self.repository and not _SCP.fullmatch(self.repository)
        return str(folder / self.repository) if is_path else self.repository
