"""The trials: a role, its play, and what to ask the machine in the end besides its files."""

from pathlib import Path

PLAYS = Path(__file__).resolve().parent.parent / "plays"

SQL = "su postgres -c \"psql -At -d {db} -c \\\"{query}\\\"\""
MYSQL = "mariadb -NBe \"{query}\""

# Name: the role, and commands whose answers must be equal.
TRIALS = {
    "ntp": ("geerlingguy.ntp", []),
    "git": ("geerlingguy.git", ["git --version"]),
    "nginx": ("geerlingguy.nginx", ["nginx -t"]),
    "firewall": ("geerlingguy.firewall", ["iptables -S", "ip6tables -S"]),
    "security": ("geerlingguy.security", ["sshd -T | sort"]),
    "postgresql": (
        "geerlingguy.postgresql",
        [
            SQL.format(db="postgres", query="select datname, datcollate, datctype, datacl from pg_database order by 1"),
            SQL.format(
                db="postgres",
                query="select rolname, rolsuper, rolcreatedb, rolcanlogin, rolpassword is null from pg_authid order by 1",
            ),
            SQL.format(db="example", query="select nspname, nspacl from pg_namespace order by 1"),
            SQL.format(db="example", query="select relname, relacl from pg_class where relacl is not null order by 1"),
        ],
    ),
    "redis": ("geerlingguy.redis", ["redis-cli ping"]),
    "nodejs": ("geerlingguy.nodejs", ["node --version", "ls /usr/local/lib/npm/lib/node_modules"]),
    "java": ("geerlingguy.java", ["java -version 2>&1 | head -1"]),
    "pip": ("geerlingguy.pip", ["pip3 list --format freeze"]),
    "mysql": (
        "geerlingguy.mysql",
        [
            MYSQL.format(query="select User, Host, plugin, authentication_string from mysql.user order by 1, 2"),
            MYSQL.format(query="select * from information_schema.user_privileges order by 1, 2, 3"),
            MYSQL.format(query="select * from information_schema.schema_privileges order by 1, 2, 3, 4"),
            MYSQL.format(query="select * from information_schema.schemata order by 2"),
        ],
    ),
    "os_hardening": ("devsec.hardening.os_hardening", ["sysctl -a 2>/dev/null | grep -v -e random -e 'state$' -e nr -e stat -e tap0"]),
    "ssh_hardening": ("devsec.hardening.ssh_hardening", ["sshd -T | sort"]),
}


def play(name):
    """Returns the playbook of a trial."""
    return PLAYS / f"{name}.yml"


def is_there(role, roles):
    """Says whether a role is in the directory of roles."""
    if role.count(".") == 2:
        namespace, collection, short = role.split(".")
        return (roles / "ansible_collections" / namespace / collection / "roles" / short).is_dir()
    return (roles / role).is_dir()
