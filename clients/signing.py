"""Signing with a person's own OpenSSH key: in a file, in an agent, on a token, or certified."""

import secrets
import subprocess
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from activities.clock import SystemClock
from activities.ports import Clock
from clients.trouble import UsageError
from domain.approval import Decision
from domain.override import OverrideWord
from domain.release import Release
from domain.review import Broken
from domain.road import WalkRequest
from domain.saying import Saying
from domain.signature import Signature, WordSignature
from domain.statement import (
    Statement,
    decision_statement,
    matter_of,
    override_statement,
    release_statement,
    request_statement,
    review_statement,
    word_statement,
)
from domain.terms import Proposal, Request, Story

_PATIENCE: Final = 300.0
"""Seconds for a person to type a passphrase, or to touch a token."""
DECIDED_WITHIN: Final = timedelta(days=30)
"""A signed decision, at least: the other approvers may take their time, and so may the next window. How long a grant
of it lives, the environment's worker judges by its own rules, from when it was signed."""
ASKED_WITHIN: Final = timedelta(days=1)
"""A signed request is for now: later it has to be signed again."""
WALKED_WITHIN: Final = timedelta(days=7)
"""What a walk asks for is asked when it arrives there, after the soaks and approvals before."""
SAID_WITHIN: Final = timedelta(hours=1)
"""So is a word, and the wish to go back or to adopt, only more so."""


class Signer:
    """Signs with one key. ``key`` is a private key's file, or a public one's whose private half an agent has."""

    def __init__(self, key: Path, clock: Clock | None = None) -> None:
        self._key = key.expanduser()
        self._clock = clock or SystemClock()

    def sign_decision(self, proposal: Proposal, decision: Decision) -> Signature:
        """Return the signature for a decision; it lasts at least as long as a grant of it may."""
        approval = proposal.terms.approval
        return self._signed(
            lambda unsigned: decision_statement(matter_of(proposal), decision, unsigned),
            max(approval.wait + approval.valid, DECIDED_WITHIN),
        )

    def sign_request(self, request: Request) -> Request:
        """Return the request, signed."""
        lasts = ASKED_WITHIN if request.story is Story.PROMOTION else SAID_WITHIN
        signature = self._signed(lambda unsigned: request_statement(request, unsigned), lasts)
        return request.but(signature=signature)

    def sign_walk(self, request: WalkRequest, environments: Sequence[str]) -> WalkRequest:
        """Return the walk, with what is asked of each of these environments signed; a walk takes its time."""
        signatures = {
            name: self._signed(partial(request_statement, request.to(name)), WALKED_WITHIN)
            for name in dict.fromkeys(environments)
        }
        return request.but(signatures=signatures)

    def sign_word(self, saying: Saying) -> WordSignature:
        """Return the signature for a word: to whom it is said, and all that it says."""
        now = self._clock.now()
        unsigned = WordSignature(at=now, expires=now + SAID_WITHIN, ssh="", nonce=secrets.token_hex(16))
        return unsigned.but(ssh=self._ssh(word_statement(saying, unsigned)))

    def sign_override(self, environment: str, word: OverrideWord) -> OverrideWord:
        """Return the override, signed; the signature lasts as long as it does."""
        signature = self._signed(lambda unsigned: override_statement(environment, word, unsigned), word.lasts)
        return word.but(signed=signature)

    def sign_review(self, broken: Broken, by: str, comment: str) -> Signature:
        """Return the signature for the review of a broken glass."""
        return self._signed(lambda unsigned: review_statement(broken, by, comment, unsigned), ASKED_WITHIN)

    def sign_release(self, release: Release) -> str:
        """Return the author's signature for a release that is being made."""
        return self._ssh(release_statement(release))

    def _signed(self, stating: Callable[[Signature], Statement], lasts: timedelta) -> Signature:
        now = self._clock.now().replace(microsecond=0)
        unsigned = Signature(at=now, expires=now + lasts, ssh="")
        return unsigned.but(ssh=self._ssh(stating(unsigned)))

    def _ssh(self, statement: Statement) -> str:
        """Have ssh-keygen sign. It asks for a passphrase, or for a touch, on the terminal itself."""
        if not self._key.is_file():
            raise UsageError(
                f"There is no key {self._key}. Name the one that you sign with: --key ~/.ssh/id_ed25519"
            )
        try:
            signed = subprocess.run(  # noqa: S603 - a fixed command line, and no shell
                ["ssh-keygen", "-Y", "sign", "-q", "-f", str(self._key), "-n", statement.purpose],  # noqa: S607 - the person's own
                input=statement.text.encode(),
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except FileNotFoundError as missing:
            raise UsageError(
                "There is no ssh-keygen here to sign with: install OpenSSH's client."
            ) from missing
        except subprocess.TimeoutExpired as late:
            raise UsageError(f"Nothing was signed with {self._key} within five minutes; try again.") from late
        if signed.returncode != 0 or not signed.stdout:
            why = (
                signed.stderr.decode(errors="replace").strip().rpartition("\n")[2]
                or "ssh-keygen did not say why"
            )
            raise UsageError(f"Nothing could be signed with {self._key}: {why[:300]}")
        return signed.stdout.decode()
