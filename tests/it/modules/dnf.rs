//! `dnf` for real: a root tree of its own, and a repository of tiny packages on disk.

use xplay::modules::Effect;
use xplay::value::Map;

use super::harness::{Bench, Shell, shells};

const REPOSITORY: &str = r#"
rpm_of() {
    mkdir -p build/SPECS
    printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: %s\nLicense: none\nBuildArch: noarch\n%s\n%%description\n%s\n%%install\nmkdir -p %%{buildroot}/usr/share/%s\necho %s >%%{buildroot}/usr/share/%s/version\n%%files\n/usr/share/%s\n' \
        "$1" "$2" "$1" "$3" "$1" "$1" "$2" "$1" "$1" >build/SPECS/$1-$2.spec
    rpmbuild -bb --define "_topdir $PWD/build" --define "_rpmdir $PWD/repo" --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' \
        --define 'source_date_epoch_from_changelog 0' build/SPECS/$1-$2.spec >build.log 2>&1
}
rpm_of foo 1.0 '' && rpm_of foo 1.1 '' && rpm_of bar 2.0 'Requires: foo'
createrepo_c -q repo
mkdir -p root repos
rpm --root "$PWD/root" --initdb
printf '[local]\nname=local\nbaseurl=file://%s/repo\ngpgcheck=0\n' "$PWD" >repos/local.repo
printf '[main]\nreposdir=%s/repos\nplugins=0\nlogdir=%s/log\ncachedir=/cache\npersistdir=/persist\n' "$PWD" "$PWD" >dnf.conf
"#;

/// Arguments that keep everything inside of the folder.
fn inside(args: &str) -> String {
    format!(r#"{{{args}, "installroot": "$D/root", "conf_file": "$D/dnf.conf", "releasever": "9"}}"#)
}

fn bench(shell: &Shell) -> Option<Bench<'_>> {
    for tool in ["rpm", "rpmbuild", "dnf", "createrepo_c"] {
        if !std::path::Path::new("/usr/bin").join(tool).exists() {
            println!("skipped: there is no {tool} on this machine");
            return None;
        }
    }
    if shell.name != "dash" {
        println!("skipped: one shell is enough for dnf, which is slow");
        return None;
    }
    let bench = Bench::new(shell);
    if !bench.is_root() {
        println!("skipped: only root may install packages");
        return None;
    }
    bench.sh(REPOSITORY);
    Some(bench)
}

fn story(bench: &Bench, args: &str, after: &str) -> Map {
    let args = inside(args);
    let preview = bench.plan("dnf", &args, true).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert_eq!(preview.effect, Effect::Change, "{args}");
    let prediction = bench.plan("dnf", &args, false).unwrap();
    let outcome = bench.apply("dnf", &args, prediction).unwrap_or_else(|f| panic!("{args}: {}", f.msg));
    assert!(outcome.changed, "{args}");
    assert_eq!(outcome.diff, preview.diff, "{args}: what was predicted");
    bench.expect(after, &args);
    let again = bench.plan("dnf", &args, true).unwrap();
    assert_eq!(again.effect, Effect::Same, "{args}: a second time");
    outcome.result
}

#[test]
fn packages_come_and_go() {
    for shell in shells() {
        let Some(bench) = bench(&shell) else { continue };
        let installed =
            |name: &str, version: &str| format!("grep -qx '{version}' root/usr/share/{name}/version");
        story(&bench, r#""name": "foo-1.0""#, &installed("foo", "1.0"));
        let result = story(&bench, r#""name": ["foo", "bar"], "state": "latest""#, &installed("bar", "2.0"));
        assert_eq!(
            result.get("results").unwrap().repr(),
            "['Installed: bar-2.0-1.noarch', 'Installed: foo-1.1-1.noarch', 'Removed: foo-1.0-1.noarch']"
        );
        let older = bench.plan("dnf", &inside(r#""name": "foo-1.0""#), true).unwrap();
        assert_eq!(older.effect, Effect::Same);
        story(
            &bench,
            r#""name": "foo", "state": "absent""#,
            "[ ! -e root/usr/share/foo ] && [ ! -e root/usr/share/bar ]",
        );
        story(&bench, r#""name": "$D/repo/foo-1.0-1.noarch.rpm""#, &installed("foo", "1.0"));
        story(&bench, r#""name": "*", "state": "latest""#, &installed("foo", "1.1"));
        let missing = bench.plan("dnf", &inside(r#""name": "nothing""#), true).unwrap_err();
        assert_eq!(missing.result.get("failures").unwrap().repr(), "['No package nothing available.']");
        let prediction = bench.plan("dnf", &inside(r#""name": "nothing""#), false).unwrap();
        let failed = bench.apply("dnf", &inside(r#""name": "nothing""#), prediction).unwrap_err();
        assert_eq!(failed.msg, "Failed to install some of the specified packages");
        let listed = bench.plan("dnf", &inside(r#""list": "available""#), false).unwrap();
        assert!(listed.result.get("results").unwrap().repr().contains("'name': 'bar'"));
        assert_eq!(bench.leftovers(), Vec::<String>::new());
    }
}
