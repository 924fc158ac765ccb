"""A token of SoftHSM: PKCS #11 without hardware.

    token = SoftHsm(directory, user="nobody")
    token.put(leaf.key, "gw")
    token.uri("gw"), token.pin_file, token.environment()

token.hide() pulls it out, token.show() plugs it in again.
"""

import os
import pwd

from netns import run

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "87215"


class SoftHsm:
    """The token "tests", which that user may use."""

    def __init__(self, directory, user):
        self.user = user
        self.dir = os.path.join(directory, "softhsm")
        self.tokens = os.path.join(self.dir, "tokens")
        os.chmod(directory, 0o711)  # the user comes through
        os.makedirs(self.tokens)
        self.config = self._write("softhsm2.conf", f"directories.tokendir = {self.tokens}\n", 0o644)
        self.pin_file = self._write("pin", f"{PIN}\n", 0o600)
        self._util("--init-token", "--free", "--so-pin", "4711", "--label", "tests")

    def put(self, key, label):
        """A private key, from a file in PEM."""
        self._util("--import", key, "--token", "tests", "--label", label, "--id", f"{len(label):02x}")

    def uri(self, label, token="tests"):
        return f"pkcs11:token={token};object={label}?module-path={MODULE}"

    def environment(self):
        return {"SOFTHSM2_CONF": self.config}

    def hide(self):
        os.rename(self.tokens, f"{self.tokens}.hidden")
        os.makedirs(self.tokens)
        self._give()

    def show(self):
        os.rmdir(self.tokens)
        os.rename(f"{self.tokens}.hidden", self.tokens)

    def _util(self, *words):
        run(["softhsm2-util", *words, "--pin", PIN], env=self.environment())
        self._give()

    def _give(self):
        owner = pwd.getpwnam(self.user)
        for top, directories, files in os.walk(self.tokens):
            for path in [top, *(os.path.join(top, name) for name in directories + files)]:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _write(self, name, text, mode):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path
