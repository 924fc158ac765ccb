"""A root, a CA below it and certificates of hosts, made with openssl.

    pki = Pki(directory)
    leaf = pki.leaf("a.example", "ecdsa-384")
    leaf.cert, leaf.key, pki.root.cert, pki.ca.cert         # paths of PEM files
"""

import dataclasses
import os

from netns import run

KEYS = {
    "rsa-2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ecdsa-256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa-384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ecdsa-521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
    "ed448": ["-algorithm", "ED448"],
}
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
HOST = "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
IDS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"


@dataclasses.dataclass
class Cert:
    cert: str
    key: str
    subject: str


_made = {}  # (kind, which): a key in PEM; RSA's take long, so tests share them


class Pki:
    def __init__(self, directory, name="tests", key="ecdsa-256"):
        self.dir = directory
        self.keys = 0
        self.name = name
        self.root = self._make("root", f"/O={name}/CN=root", key, CA, None, 30)
        self.ca = self._make("ca", f"/O={name}/CN=ca", key, CA, self.root, 30)

    def leaf(self, dns, key="ecdsa-256", days=1, issuer=None):
        """A host's certificate; days: for how long; below 0: it has expired."""
        return self._make(dns, f"/O={self.name}/CN={dns}", key, f"{HOST}subjectAltName=DNS:{dns}\n",
                          issuer or self.ca, days)

    def public_key(self, cert):
        """The path of its public key."""
        path = f"{cert.cert}.pub"
        run(["openssl", "pkey", "-in", cert.key, "-pubout", "-out", path])
        return path

    def _make(self, name, subject, key, extensions, issuer, days):
        base = os.path.join(self.dir, f"{self.name}-{name}")
        made = Cert(f"{base}.pem", f"{base}.key", subject)
        self._key(key, made.key)
        with open(f"{base}.ext", "w", encoding="utf-8") as file:
            file.write(extensions + IDS)
        run(["openssl", "req", "-new", "-key", made.key, "-subj", subject, "-out", f"{base}.req"])
        signer = (["-CA", issuer.cert, "-CAkey", issuer.key, "-CAcreateserial"] if issuer
                  else ["-signkey", made.key])
        run(["openssl", "x509", "-req", "-in", f"{base}.req", *signer, "-days", days, "-extfile",
             f"{base}.ext", "-out", made.cert])
        return made

    def _key(self, kind, path):
        which = (kind, self.name, self.keys)
        self.keys += 1
        if which not in _made:
            _made[which] = run(["openssl", "genpkey", *KEYS[kind]]).stdout
        with open(path, "w", encoding="utf-8") as file:
            file.write(_made[which])
        os.chmod(path, 0o600)
