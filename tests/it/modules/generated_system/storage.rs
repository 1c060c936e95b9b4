//! Laws of modules about disks, and of those that pack, divert and send files: by the tools themselves on files, by doubles
//! for LVM and ufw.

use super::{Law, THERE, YES_NO};

/// A group of a device or two, of which one is in another group; volumes in the group. `disk` files hold
/// group, size in bytes and the bytes that LVM uses; `lv` files size and whether the volume is active.
const GROUPS: &[&str] = &[
    "echo 'data 1073741824 1069547520' >lvm/disk.a; printf '%s\\n' 4194304 yes >lvm/lv.data.web",
    "echo 'data 2147483648 1069547520' >lvm/disk.b",
    "echo 'other 1073741824 1069547520' >lvm/disk.c",
    "[ ! -e lvm/lv.data.web ] || printf '%s\\n' 41943040 no >lvm/lv.data.web",
];

pub const LAWS: &[Law] = &[
    Law {
        module: "lvg",
        doubles: &[
            "vgs", "pvs", "lvs", "pvcreate", "pvresize", "vgcreate", "vgextend", "vgreduce", "vgremove",
            "vgchange",
        ],
        begin: "mkdir lvm; for d in a b c; do : >\"$PWD/$d\"; done",
        states: GROUPS,
        always: r#"{"vg": "data", "pvs": ["$D/a"]}"#,
        choices: &[
            ("vg", &["new", "other"]),
            ("pvs", &["$D/a,$D/b", "$D/b", "$D/c", "$D/none"]),
            ("state", &["present", "absent", "active", "inactive"]),
            ("force", YES_NO),
            ("pvresize", YES_NO),
            ("remove_extra_pvs", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "lvol",
        doubles: &["vgs", "lvs", "lvcreate", "lvextend", "lvreduce", "lvremove", "lvchange"],
        begin: "mkdir lvm",
        states: GROUPS,
        always: r#"{"vg": "data", "lv": "web", "size": "40"}"#,
        choices: &[
            ("vg", &["none"]),
            ("lv", &["new"]),
            ("size", &["4", "41", "50%VG", "10%FREE", "100g", "0"]),
            ("state", THERE),
            ("active", YES_NO),
            ("force", YES_NO),
            ("shrink", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "filesystem",
        needs: &["mkfs.ext4", "mkfs.ext2", "mkswap", "blkid", "wipefs", "tune2fs", "resize2fs"],
        inside: true,
        begin: "PATH=$PATH:/usr/sbin:/sbin; dd if=/dev/zero of='a disk' bs=1M count=0 seek=8 2>/dev/null",
        states: &[
            "mkfs.ext4 -q -F 'a disk' >/dev/null 2>&1",
            "mkfs.ext2 -q -F 'a disk' 2048 >/dev/null 2>&1",
            "wipefs -q -a 'a disk'; mkswap 'a disk' >/dev/null 2>&1",
            "rm -f 'a disk'",
        ],
        always: r#"{"dev": "$D/a disk", "fstype": "ext4"}"#,
        choices: &[
            ("fstype", &["ext2", "ext4", "swap", "xfs"]),
            ("state", THERE),
            ("force", &["no"]),
            ("resizefs", YES_NO),
            ("opts", &["-L data -m 0"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "parted",
        needs: &["parted"],
        inside: true,
        begin: "PATH=$PATH:/usr/sbin:/sbin; dd if=/dev/zero of=disk bs=1M count=0 seek=32 2>/dev/null",
        states: &[
            "parted -s disk mklabel gpt",
            "parted -s disk mklabel msdos mkpart primary ext4 1MiB 8MiB",
            "parted -s disk mklabel gpt mkpart data ext4 1MiB 16MiB set 1 lvm on",
        ],
        always: r#"{"device": "$D/disk", "number": 1, "state": "present", "label": "gpt"}"#,
        choices: &[
            ("label", &["msdos", "gpt"]),
            ("state", &["absent", "info", "present"]),
            ("part_start", &["1MiB", "10%"]),
            ("part_end", &["16MiB", "100%", "24 MiB"]),
            ("fs_type", &["ext4", "linux-swap"]),
            ("flags", &["boot", "lvm", "swap"]),
            ("unit", &["MiB", "s", "%"]),
        ],
        share: 2,
        ..Law::BASE
    },
    Law {
        module: "archive",
        needs: &["tar", "gzip", "find"],
        inside: true,
        begin: "mkdir -p 'a dir/sub'; echo one >'a dir/one'; echo two >'a dir/sub/two'; ln -s one 'a dir/l'; echo f >f.txt",
        states: &[
            "echo 3 >'a dir/-n'; touch -d 2001-01-01 'a dir/one'",
            "tar -czf x.tgz f.txt",
            "gzip -c f.txt >f.txt.gz",
            "echo broken >x.tgz",
            "rm -rf 'a dir/sub'",
        ],
        always: r#"{"path": "$D/a dir", "dest": "$D/x.tgz"}"#,
        choices: &[
            ("path", &["$D/f.txt", "$D/*.txt", "$D/a dir,$D/none", "$D/a dir/"]),
            ("dest", &["$D/y.gz", "$D/no/x.tgz", "$D/a dir/x.tgz"]),
            ("format", &["gz", "tar", "bz2", "zip"]),
            ("force_archive", YES_NO),
            ("exclude_path", &["$D/f.txt"]),
            ("exclusion_patterns", &["*/one", "a dir/sub*"]),
            ("mode", &["0600"]),
            ("remove", &["no"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "dpkg_divert",
        needs: &["dpkg-divert"],
        begin: "echo mine >f",
        states: &[
            "dpkg-divert --local --no-rename --add \"$PWD/f\" >/dev/null",
            "echo theirs >f.distrib",
            "rm -f f",
            "dpkg-divert --package web --no-rename --divert \"$PWD/g\" --add \"$PWD/f\" >/dev/null 2>&1 || :",
        ],
        always: r#"{"path": "$D/f"}"#,
        choices: &[
            ("state", THERE),
            ("holder", &["web", "LOCAL"]),
            ("divert", &["$D/g"]),
            ("rename", YES_NO),
            ("force", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "synchronize",
        needs: &["rsync"],
        inside: true,
        begin: "mkdir -p 'from a/sub' to; echo one >'from a/one'; echo two >'from a/sub/two'; ln -s one 'from a/l'",
        states: &[
            "cp -a 'from a/.' to",
            "echo other >to/one; touch -d 2001-01-01 to/one",
            "echo more >to/more",
            "chmod 700 'from a/sub'",
            "rm -rf to",
        ],
        always: r#"{"src": "$D/from a/", "dest": "$D/to"}"#,
        choices: &[
            ("src", &["$D/from a", "$D/from a/one", "$D/none"]),
            ("dest", &["$D/to/", "$D/no/where"]),
            ("delete", YES_NO),
            ("checksum", YES_NO),
            ("existing_only", YES_NO),
            ("perms", YES_NO),
            ("rsync_opts", &["--exclude=sub", "--exclude=it's"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "htpasswd",
        inside: true,
        begin: ": >f; chmod 640 f",
        states: &[
            "printf 'eve:$apr1$x$y\\n\\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=' >f",
            "printf 'ada:secret\\r\\n' >f",
            "rm -f f",
        ],
        always: r#"{"path": "$D/f", "name": "ada", "password": "secret"}"#,
        choices: &[
            ("name", &["eve", "bob", "a:b"]),
            ("password", &["it's $(touch pwned)", ""]),
            ("hash_scheme", &["ldap_sha1", "plaintext", "sha512_crypt"]),
            ("state", THERE),
            ("create", YES_NO),
            ("mode", &["0600"]),
        ],
        ..Law::BASE
    },
    Law {
        module: "seport",
        doubles: &["semanage"],
        states: &[
            "echo 'web_port_t tcp 8080' >>ports",
            "echo 'web_port_t tcp 9000-9010' >>ports; echo 'db_port_t udp 8080' >>ports",
            "echo 'db_port_t tcp 81' >>ports; mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce",
        ],
        always: r#"{"ports": "8080", "proto": "tcp", "setype": "web_port_t", "ignore_selinux_state": true}"#,
        choices: &[
            ("ports", &["80,8080,9001-9005", "81", "9000-9010"]),
            ("proto", &["udp"]),
            ("state", THERE),
            ("reload", YES_NO),
        ],
        ..Law::BASE
    },
    Law {
        module: "ufw",
        doubles: &["ufw"],
        begin: "mkdir -p /etc/ufw /etc/default; echo inactive >ufw.state; echo low >ufw.logging; \
            printf 'DEFAULT_INPUT_POLICY=\"DROP\"\\nDEFAULT_OUTPUT_POLICY=\"ACCEPT\"\\nDEFAULT_FORWARD_POLICY=\"DROP\"\\n' >/etc/default/ufw; : >/etc/ufw/user.rules",
        states: &[
            "echo active >ufw.state",
            "echo '### tuple ### allow any 22 any' >>/etc/ufw/user.rules",
            "echo off >ufw.logging",
        ],
        always: r#"{"rule": "allow", "to_port": "22"}"#,
        choices: &[
            ("to_port", &["80", "22"]),
            ("delete", YES_NO),
            ("state", &["enabled", "disabled"]),
            ("default", &["allow", "deny"]),
            ("logging", &["low", "off", "high"]),
            ("comment", &["it's ssh"]),
        ],
        ..Law::BASE
    },
];

laws_of!(lvg, lvol, filesystem, parted, archive, dpkg_divert, synchronize, htpasswd, seport, ufw);
