//! `apt` for real: a root of its own, and a repository of tiny packages on disk.

use std::path::Path;

use xplay::modules::Effect;
use xplay::value::Map;

use super::harness::{Bench, Shell, shells};

/// Makes packages NAME VERSION [DEPENDS] in `repo`, with the list that apt reads.
pub const REPOSITORY: &str = r#"
deb() {
    mkdir -p "pkg/$1-$2/DEBIAN" "pkg/$1-$2/usr/share/$1" "$4"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: %s\n' "$1" "$2" "$1" >"pkg/$1-$2/DEBIAN/control"
    if [ -n "$3" ]; then printf '%s\n' "$3" >>"pkg/$1-$2/DEBIAN/control"; fi
    echo "$1 $2" >"pkg/$1-$2/usr/share/$1/version"
    mkdir -p "pkg/$1-$2/etc"; echo "$1" >"pkg/$1-$2/etc/$1.conf"
    echo "/etc/$1.conf" >"pkg/$1-$2/DEBIAN/conffiles"
    dpkg-deb --build --root-owner-group -Znone "pkg/$1-$2" "$4/$1_$2_all.deb" >/dev/null
}
index() {
    (cd "$1" && for f in *.deb; do
        dpkg-deb -f "$f"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$f" "$(($(wc -c <"$f")))" "$(sha256sum "$f" | cut -d ' ' -f 1)"
    done >Packages)
}
mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates root/var/lib/dpkg/triggers root/var/lib/apt/lists/partial \
    root/var/cache/apt/archives/partial root/etc/apt/apt.conf.d root/etc/apt/preferences.d root/etc/apt/sources.list.d root/var/log/apt root/tmp
: >root/var/lib/dpkg/status
: >root/var/lib/dpkg/available
touch -d '2020-01-01' root/var/lib/apt/lists
deb foo 1.0.0 '' stable
deb foo 1.0.1 '' stable
deb foobar 1.0.0 'Depends: foo' stable
deb foobar 1.0.1 'Depends: foo
Provides: virtual-foobar' stable
index stable
printf 'deb [trusted=yes] file:%s/stable ./\n' "$PWD" >root/etc/apt/sources.list
cat >apt.conf <<EOF
Dir "$PWD/root/";
Dir::Etc::trusted "$PWD/root/etc/apt/trusted.gpg";
Dir::State::status "$PWD/root/var/lib/dpkg/status";
APT::Sandbox::User "root";
DPkg::Options { "--root=$PWD/root"; "--force-not-root"; "--force-bad-path"; "--log=$PWD/root/var/log/dpkg.log"; };
DPkg::Use-Pty "false";
EOF
"#;

fn bench(shell: &Shell) -> Option<Bench<'_>> {
    for tool in ["apt-get", "dpkg-deb"] {
        if !Path::new("/usr/bin").join(tool).exists() {
            println!("skipped: there is no {tool} on this machine");
            return None;
        }
    }
    if shell.name == "busybox" {
        println!("skipped: busybox's own dpkg is no target of apt");
        return None;
    }
    let mut bench = Bench::new(shell);
    bench.environment = vec![
        ("APT_CONFIG", "$D/apt.conf".to_string()),
        ("DPKG_ADMINDIR", "$D/root/var/lib/dpkg".to_string()),
    ];
    bench.sh(REPOSITORY);
    Some(bench)
}

/// Previews, does it, asks again: what was predicted comes out, and nothing is left to do.
fn story(bench: &Bench, args: &str, after: &str) -> Map {
    let before = bench.content();
    let preview = bench.plan("apt", args, true).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert_eq!(preview.effect, Effect::Change, "{args}");
    // The tool keeps an index of its own for speed, and touches its lock.
    let own = |path: &Path| {
        let path = path.to_string_lossy();
        path.contains("/cache/apt") || path.contains("lock")
    };
    let now = bench.content();
    let wrote: Vec<_> = now
        .iter()
        .filter(|(path, text)| !own(path) && before.get(*path) != Some(text))
        .map(|(p, _)| p)
        .collect();
    assert!(wrote.is_empty(), "{args}: the preview wrote {wrote:?}");
    let prediction = bench.plan("apt", args, false).unwrap();
    let outcome = bench.apply("apt", args, prediction).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert!(outcome.changed, "{args}");
    assert_eq!(outcome.diff, preview.diff, "{args}: what was predicted");
    bench.expect(after, args);
    let again = bench.plan("apt", args, false).unwrap();
    let again = match again.change {
        None => again.changes(),
        Some(_) => bench.apply("apt", args, again).unwrap().changed,
    };
    assert!(!again, "{args}: a second time");
    outcome.result
}

#[test]
fn packages_come_and_go() {
    for shell in shells() {
        let Some(bench) = bench(&shell) else { continue };
        let installed =
            |name: &str, version: &str| format!("grep -qx '{name} {version}' root/usr/share/{name}/version");
        let update = bench.plan("apt", r#"{"update_cache": true, "name": []}"#, false).unwrap();
        assert!(update.changes() && update.change.is_none());
        story(&bench, r#"{"name": "foo=1.0.0"}"#, &installed("foo", "1.0.0"));
        let same = bench.plan("apt", r#"{"name": ["foo", "foo>=0.9"]}"#, true).unwrap();
        assert_eq!(same.effect, Effect::Same);
        story(&bench, r#"{"name": "fo?", "state": "latest"}"#, &installed("foo", "1.0.1"));
        let held = bench.plan("apt", r#"{"name": "foo=1.0.0"}"#, true).unwrap_err();
        assert!(held.msg.starts_with("'apt-get -y"), "{}", held.msg);
        story(&bench, r#"{"name": "foo=1.0.0", "allow_downgrade": true}"#, &installed("foo", "1.0.0"));
        let result =
            story(&bench, r#"{"name": ["foobar", "foo"], "state": "latest"}"#, &installed("foobar", "1.0.1"));
        assert!(result.get("stdout").unwrap().to_text().contains("Setting up foobar (1.0.1)"));
        assert_eq!(result.get("cache_updated").unwrap().to_text(), "False");
        let provided = bench.plan("apt", r#"{"name": "virtual-foobar"}"#, true).unwrap();
        assert_eq!(provided.effect, Effect::Same);
        story(
            &bench,
            r#"{"name": "foobar", "state": "absent"}"#,
            "[ ! -e root/usr/share/foobar/version ] && [ -e root/etc/foobar.conf ]",
        );
        story(
            &bench,
            r#"{"name": "foobar", "state": "absent", "purge": true}"#,
            "[ ! -e root/etc/foobar.conf ]",
        );
        story(&bench, r#"{"deb": "$D/stable/foobar_1.0.0_all.deb"}"#, &installed("foobar", "1.0.0"));
        story(&bench, r#"{"upgrade": "dist"}"#, &installed("foobar", "1.0.1"));
        let older = bench.plan("apt", r#"{"deb": "$D/stable/foobar_1.0.0_all.deb"}"#, true).unwrap_err();
        assert_eq!(older.msg, "A later version is already installed");
        for (args, expect) in [
            (r#"{"name": "nothing"}"#, "No package matching 'nothing' is available"),
            (r#"{"name": "foo=99"}"#, "no available installation candidate for foo=99"),
            (r#"{"name": "noth*"}"#, "No package(s) matching 'noth*' available"),
        ] {
            assert_eq!(bench.plan("apt", args, false).unwrap_err().msg, expect);
        }
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}
