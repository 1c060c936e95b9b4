//! Cases of `dnf` and `yum`: arguments and what rpm said, the commands that come out.

use super::{Dnf, Yum};
use crate::modules::Effect;
use crate::modules::testing::{Case, args, scripts};
use crate::value::Value;

/// Runs with what rpm told about the packages; `-` when nothing is to do.
fn check(given: &[(&str, &str)], seen: &str, expect: &str) {
    let tool = if seen.starts_with("tool") { "" } else { "tool dnf dnf\n" };
    let got = match Case::new(&Dnf, args(given)).plan(format!("{tool}{seen}")) {
        Err(failure) => failure.msg,
        Ok(prediction) => match &scripts(&prediction)[..] {
            [] => "-".to_string(),
            [_, .., script, _] | [script] => script
                .lines()
                .last()
                .unwrap_or_default()
                .replace(" --setopt=clean_requirements_on_remove=0", "")
                .replace(" </dev/null", ""),
            _ => "?".to_string(),
        },
    };
    assert_eq!(got, expect, "{given:?}");
}

const FOO: &str = "have 0 foo\t0\t1.5\t2.el9\tx86_64\n";

#[test]
fn installs_what_is_missing() {
    check(&[("name", "foo")], FOO, "-");
    check(&[("name", "foo,bar")], FOO, "dnf -y install 'bar'");
    check(&[("name", "foo")], "tool yum yum\n", "yum -y install 'foo'");
    check(&[("name", "foo")], "tool dnf5 dnf5\n", "dnf5 -y install 'foo'");
    check(&[("name", "foo >= 1.2")], FOO, "-");
    check(&[("name", "foo >= 1.5-3")], FOO, "dnf -y install 'foo >= 1.5-3'");
    check(&[("name", "foo < 1.5")], FOO, "-");
    check(&[("name", "foo < 1.5"), ("allow_downgrade", "yes")], FOO, "dnf -y install 'foo < 1.5'");
    let other = "other 0 foo\t0\t1.5\t2.el9\tx86_64\n";
    check(&[("name", "foo-1.4")], other, "-");
    check(&[("name", "foo-1.6-1.el9.x86_64")], other, "dnf -y install 'foo-1.6-1.el9.x86_64'");
    check(&[("name", "foo-1.4"), ("allow_downgrade", "yes")], other, "dnf -y install 'foo-1.4'");
    check(&[("name", "foo-devel")], other, "dnf -y install 'foo-devel'");
    check(&[("name", "@Development tools")], "", "dnf -y install '@Development tools'");
    check(&[("name", "/usr/bin/foo")], FOO, "-");
    check(&[("name", "/tmp/foo.rpm")], &format!("file 0 foo\t0\t1.5\t2.el9\tx86_64\n{FOO}"), "-");
    check(
        &[("name", "/tmp/foo.rpm")],
        &format!("file 0 foo\t0\t1.6\t1\tx86_64\n{FOO}"),
        "dnf -y install '/tmp/foo.rpm'",
    );
    check(&[("name", "foo"), ("state", "latest")], FOO, "dnf -y upgrade 'foo'");
    check(&[("name", "*"), ("state", "latest"), ("security", "yes")], "", "dnf -y upgrade --security");
    check(
        &[
            ("name", "bar"),
            ("enablerepo", "a,b"),
            ("disable_gpg_check", "yes"),
            ("exclude", "x*"),
            ("nobest", "yes"),
        ],
        "",
        "dnf -y --setopt=best=0 --nogpgcheck --enablerepo='a' --enablerepo='b' --exclude='x*' install 'bar'",
    );
    check(&[("name", "bar"), ("update_only", "yes"), ("state", "latest")], "", "-");
    check(&[("update_cache", "yes")], "", "dnf -y makecache --refresh");
}

#[test]
fn removes_what_is_there() {
    check(&[("name", "foo"), ("state", "absent")], FOO, "dnf -y remove 'foo'");
    check(&[("name", "foo"), ("state", "removed")], "", "-");
    check(&[("name", "fo*"), ("state", "absent")], FOO, "dnf -y remove 'foo'");
    check(
        &[("autoremove", "yes"), ("name", "")],
        "",
        "dnf -y --setopt=clean_requirements_on_remove=1 autoremove",
    );
    check(
        &[("name", "x.rpm"), ("state", "absent")],
        "",
        "Cannot remove paths -- please specify package name.",
    );
}

#[test]
fn refuses() {
    check(
        &[("name", "foo"), ("state", "latest"), ("autoremove", "yes")],
        "",
        "Autoremove should be used alone or with state=absent",
    );
    check(&[("name", "foo"), ("list", "x")], "", "parameters are mutually exclusive: name|list");
    let failure = Case::new(&Yum, args(&[("name", "a b")])).probe().unwrap_err();
    assert!(failure.msg.starts_with("It appears that a space separated string of packages"));
}

#[test]
fn simulations_are_predicted() {
    let mut case = Case::new(&Dnf, args(&[("name", "foo"), ("state", "latest")]));
    case.check = true;
    let seen = format!("tool dnf dnf\n{FOO}");
    let script = case.simulate(seen.as_str()).unwrap().unwrap();
    assert!(
        script.contains("dnf --assumeno --setopt=clean_requirements_on_remove=0 upgrade 'foo' </dev/null"),
        "{script}"
    );
    let idle = case.plan_more(
        &seen,
        0,
        "installed\nfoo.x86_64 1.5-2.el9\ncommand\nDependencies resolved.\nNothing to do.\nComplete!\n",
    );
    let idle = idle.unwrap();
    assert_eq!(
        (idle.effect, idle.result.get("msg").unwrap().to_text().as_str()),
        (Effect::Same, "Nothing to do")
    );
    let change = case
        .plan_more(&seen, 0, "installed\nfoo.x86_64 1.5-2.el9\ncommand\nUpgrading:\n foo  x86_64  1.6-1.el9  base  1 k\n\nOperation aborted.\n")
        .unwrap();
    assert_eq!(change.effect, Effect::Change);
    assert_eq!(
        change.result.get("results").unwrap().repr(),
        "['Installed: foo-1.6-1.el9.x86_64', 'Removed: foo-1.5-2.el9.x86_64']"
    );
    let missing = case
        .plan_more(
            "tool dnf dnf\n",
            0,
            "installed\ncommand\nNo match for argument: foo\nError: Unable to find a match: foo\n",
        )
        .unwrap_err();
    assert_eq!(missing.msg, "Failed to install some of the specified packages");
    assert_eq!(missing.result.get("failures").unwrap().repr(), "['No package foo available.']");
}

#[test]
fn lists() {
    let result = Case::new(&Dnf, args(&[("list", "foo"), ("name", "")]))
        .plan("tool dnf dnf\ninstalled foo\t0\t1\t2\tnoarch\navailable foo\t0\t3\t1\tnoarch\tbase\nrepo base  Base\n")
        .unwrap()
        .result;
    let Some(Value::List(found)) = result.get("results") else { panic!("no list") };
    assert_eq!(
        found[1].repr(),
        "{'name': 'foo', 'arch': 'noarch', 'epoch': '0', 'release': '1', 'version': '3', 'repo': 'base', 'envra': '0:foo-3-1.noarch', 'nevra': '0:foo-3-1.noarch', 'yumstate': 'available'}"
    );
    assert_eq!(found[2].repr(), "{'repoid': 'base', 'state': 'enabled'}");
}
