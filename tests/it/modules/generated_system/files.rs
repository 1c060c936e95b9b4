//! Laws of modules that change files, their access lists and capabilities, by tools of their own.

use super::{Law, THERE, YES_NO};

pub const LAWS: &[Law] = &[
    Law {
        module: "pam_limits",
        begin: "mkdir security",
        states: &[
            "printf '# <domain> <type> <item> <value>\\n' >security/limits.conf",
            "printf '* hard nofile 9\\n* soft nofile 3 # theirs\\n' >>security/limits.conf",
            "printf '@dev\\t-\\tnproc\\tunlimited' >>security/limits.conf",
            "printf '\\n* hard nofile 4\\r\\n' >>security/limits.conf",
            "echo '* - nice 40' >>security/limits.conf",
        ],
        always: r#"{"domain": "*", "limit_type": "hard", "limit_item": "nofile", "value": "5",
            "dest": "$D/security/limits.conf"}"#,
        choices: &[
            ("domain", &["@dev", "new"]),
            ("limit_type", &["soft", "-"]),
            ("limit_item", &["nproc", "nice"]),
            ("value", &["9", "unlimited", "-1", "many"]),
            ("use_max", YES_NO),
            ("use_min", &["no"]),
            ("comment", &["it's ours"]),
            ("backup", YES_NO),
            ("dest", &["$D/security/new.conf"]),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "pamd",
        begin: "mkdir pam.d; printf '#%%PAM-1.0\\n' >pam.d/web",
        states: &[
            "printf 'auth required pam_env.so\\n\\n@include common-auth\\n' >>pam.d/web",
            "printf '%s\\n' 'auth  sufficient  pam_unix.so  try_first_pass  [a = b]' 'auth required pam_deny.so' >>pam.d/web",
            "printf '%s\\n' 'auth [success=1 default=ignore] pam_unix.so nullok' 'auth sufficient pam_unix.so' >>pam.d/web",
            "printf '%s' '-session optional pam_x.so' >>pam.d/web",
        ],
        always: r#"{"path": "$D/pam.d", "name": "web", "type": "auth", "control": "sufficient", "module_path": "pam_unix.so",
            "new_type": "auth", "new_control": "required", "new_module_path": "pam_new.so"}"#,
        choices: &[
            ("control", &["required", "[success=1 default=ignore]", "sufficient"]),
            ("module_path", &["pam_deny.so", "pam_unix.so"]),
            ("module_arguments", &["nullok", "try_first_pass,a=1", ""]),
            ("state", &["absent", "after", "args_absent", "args_present", "before", "updated"]),
            ("new_control", &["[default=die]", "optional", "required"]),
            ("backup", YES_NO),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "ssh_config",
        begin: "mkdir ssh; : >key",
        states: &[
            "printf '# mine\\nHost a\\n  Port 1\\n\\nHost web db\\n\\tHostName 10.0.0.1\\n\\tForwardAgent yes\\n' >ssh/config",
            "printf 'Host web\\n  Port=22\\n  # why\\n  IdentityFile /none\\nMatch user x\\n  Port 3\\n' >>ssh/config",
            "printf 'Host web\\n    port 2222\\n    hostname 10.0.0.9' >>ssh/config",
            "[ ! -e ssh/config ] || { mv ssh/config far; ln -s ../far ssh/config; }",
        ],
        always: r#"{"host": "web", "hostname": "10.0.0.9", "ssh_config_file": "$D/ssh/config"}"#,
        choices: &[
            ("host", &["web db", "new"]),
            ("port", &["22", "2222"]),
            ("remote_user", &["ada"]),
            ("identity_file", &["$D/key"]),
            ("forward_agent", YES_NO),
            ("strict_host_key_checking", &["accept-new", "no"]),
            ("state", THERE),
            ("ssh_config_file", &["$D/deep/er/config"]),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "xml",
        states: &[
            "printf 'no document' >f",
            "printf '<a>\\n  <b x=\"1\">t</b>\\n  <b/>\\n  <!-- c -->\\n</a>\\n' >f",
            "printf '<?xml version=\"1.0\"?>\\n<!DOCTYPE a>\\n<a xmlns:n=\"urn:n\"><n:b n:x=\"1\">&lt;</n:b><c><![CDATA[<]]></c></a>' >f",
            "printf '<a><b>1</b><c><b>2</b></c>\\r\\n</a>' >f",
            "[ ! -e f ] || { mv f far; ln -s far f; }",
        ],
        always: r#"{"path": "$D/f", "xpath": "/a/b", "value": "more", "namespaces": {"n": "urn:n"}}"#,
        choices: &[
            (
                "xpath",
                &[
                    "/a/b",
                    "/a/b[1]",
                    "//b",
                    "/a/n:b",
                    "/a/new",
                    "/a/b/@x",
                    "/a/new[@k='1' and text()='2']",
                    "/a",
                    "/a/*",
                    "/z/y",
                ],
            ),
            ("value", &["new", "", "<&>\"'"]),
            ("attribute", &["x", "n:x"]),
            ("state", THERE),
            ("pretty_print", YES_NO),
            ("strip_cdata_tags", YES_NO),
            ("backup", YES_NO),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "openssh_keypair",
        needs: &["ssh-keygen"],
        states: &[
            "ssh-keygen -q -t ed25519 -N '' -C old -f k",
            "rm -f k k.pub; ssh-keygen -q -t ecdsa -b 384 -N '' -C 'it is' -f k",
            "rm -f k.pub",
            "[ ! -e k.pub ] || echo 'ssh-ed25519 AAAA other' >k.pub",
            "[ ! -e k ] || { mv k far; ln -s far k; }",
            "[ ! -s k ] || ssh-keygen -q -p -P '' -N secret -f k >/dev/null",
            "[ ! -e k ] || echo broken >k",
        ],
        always: r#"{"path": "$D/k", "type": "ed25519"}"#,
        choices: &[
            ("type", &["ed25519", "ecdsa"]),
            ("size", &["256", "384", "5"]),
            ("comment", &["me", "it's mine", ""]),
            ("state", THERE),
            ("regenerate", &["never", "fail", "partial_idempotence", "full_idempotence"]),
            ("mode", &["0600", "0400"]),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "make",
        needs: &["make"],
        begin: "mkdir 'a b'; cd 'a b'; echo 1 >in; printf 'out: in\\n\\tcp in $(TO)out\\n\\tcp in out\\nbad:\\n\\tfalse\\n' >Makefile",
        states: &["touch -d 2001-01-01 out", "echo 2 >out", "cp Makefile other", "rm -f Makefile"],
        always: r#"{"chdir": "$D/a b"}"#,
        choices: &[
            ("target", &["out", "bad"]),
            ("params", &["{\"TO\": \"../x\"}"]),
            ("file", &["Makefile", "./other"]),
            ("jobs", &["2"]),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "acl",
        needs: &["setfacl", "getfacl"],
        possible: ": >try && setfacl -m u:1:r try && rm try",
        begin: "umask 022; mkdir -p 'd d/sub'; : >'d d/f'; : >f; ln -s f l",
        states: &[
            "setfacl -m u:1:rw,g:1:x f 'd d'",
            "setfacl -d -m u:1:rw 'd d'",
            "chmod 600 f",
            "setfacl -m u:2:rwx,m::r f",
            "rm -f f",
        ],
        always: r#"{"path": "$D/f", "state": "present", "etype": "user", "entity": "1", "permissions": "r"}"#,
        choices: &[
            ("path", &["$D/d d", "$D/l"]),
            ("entity", &["2", "nobody", "no such user"]),
            ("etype", &["group", "user"]),
            ("permissions", &["rw", "rwX", "---"]),
            ("default", YES_NO),
            ("recursive", YES_NO),
            ("follow", YES_NO),
            ("recalculate_mask", &["mask", "no_mask"]),
        ],
        inside: true,
        ..Law::BASE
    },
    Law {
        module: "capabilities",
        needs: &["setcap", "getcap"],
        possible: ": >try && setcap cap_chown+ep try && rm try",
        begin: "printf x >'f g'",
        states: &[
            "setcap cap_chown+ep 'f g'",
            "setcap 'cap_chown,cap_kill+p' 'f g'",
            "setcap 'cap_chown=ep cap_kill+eip' 'f g'",
            "rm -f 'f g'",
        ],
        always: r#"{"path": "$D/f g", "capability": "cap_chown+ep"}"#,
        choices: &[
            ("capability", &["cap_kill=p", "CAP_NET_RAW+eip", "cap_chown=pe", "cap_none+p", "cap_chown"]),
            ("state", THERE),
        ],
        inside: true,
        ..Law::BASE
    },
];

laws_of!(pam_limits, pamd, openssh_keypair, make, acl, capabilities, ssh_config, xml);
