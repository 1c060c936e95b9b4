#!/usr/bin/env python3
"""Records vaults made by Ansible: vault/vectors.json beside this file. Needs ansible-core."""
import json
import os

from ansible.parsing.vault import VaultLib, VaultSecret

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vault")

CASES = [
    # plain, password, label, salt
    ("x", "pw", None, "0" * 32),
    ("fifteen bytes..", "pw", None, "0" * 32),
    ("sixteen bytes...", "pw", "prod", "0123456789abcdef0123456789abcdef"),
    ("key: välue\nother: {{ x }}\n", "pass wörd \" $x", "dev-1", "s" * 32),
    ("long " * 60, "pw", "default", "t" * 32),
    ("random salt\n", "another", None, None),
    ("random salt, label\n", "another", "team@site", None),
]


def main():
    out = []
    for plain, password, label, salt in CASES:
        secret = VaultSecret(password.encode())
        vault = VaultLib([("x", secret)]).encrypt(plain, secret=secret, vault_id=label, salt=salt.encode() if salt else None)
        shown = None if label == "default" else label
        out.append({"plain": plain, "password": password, "label": shown, "salt": salt, "vault": vault.decode()})
    with open(os.path.join(HERE, "vectors.json"), "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
