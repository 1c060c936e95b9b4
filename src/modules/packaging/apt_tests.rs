//! Cases of `apt`: arguments and what the target said, the commands that come out.

use super::Apt;
use crate::modules::Effect;
use crate::modules::testing::{Case, args, scripts};
use crate::value::Value;

/// foo 1.0.0 is installed and 1.0.1 to be had; bar is not installed; mta is provided by others.
const SEEN: &str = "arch amd64\nnow 1000\ncache 81a4 0 0 12 900 1 1 9 1 1 0 0 8 4096 :root:root:\n\
    manual foo\nprovided Package: foo\nprovided Package: bar\nprovided Package: mta\nprovided exim 4 (= )\nprovided postfix 3 (= )\nprovided Package: gone\n\
    state foo\tall\t1.0.0\tinstall ok installed\nstate old\tamd64\t2\tdeinstall ok config-files\nstate lib\ti386\t3\thold ok installed\n\
    policy foo:\npolicy   Installed: 1.0.0\npolicy   Candidate: 1.0.1\npolicy   Version table:\npolicy      2.0.0 500\npolicy         500 file:/x ./ Packages\n\
    policy      1.0.1 990\npolicy         990 file:/x ./ Packages\npolicy  *** 1.0.0 500\npolicy         100 /var/lib/dpkg/status\n\
    policy bar:\npolicy   Installed: (none)\npolicy   Candidate: 1:2\npolicy   Version table:\npolicy      1:2 500\n\
    policy mta:\npolicy   Installed: (none)\npolicy   Candidate: (none)\npolicy   Version table:\n\
    policy gone:\npolicy   Installed: (none)\npolicy   Candidate: (none)\npolicy   Version table:\n\
    policy old:\npolicy   Installed: (none)\npolicy   Candidate: (none)\npolicy   Version table:\npolicy      2 100\n\
    policy lib:i386:\npolicy   Installed: 3\npolicy   Candidate: 3\npolicy   Version table:\npolicy  *** 3 100\n";

/// The command for these arguments, without what all commands have; `-` when nothing is to do.
fn check(given: &[(&str, &str)], expect: &str) {
    let case = Case::new(&Apt, args(given));
    let got = match case.plan(SEEN) {
        Err(failure) => failure.msg,
        Ok(prediction) => match scripts(&prediction).get(1) {
            None => "-".to_string(),
            Some(script) => script
                .lines()
                .find(|l| l.starts_with("apt") && l.ends_with("</dev/null"))
                .unwrap_or_default()
                .replace(" -o 'Dpkg::Options::=--force-confdef' -o 'Dpkg::Options::=--force-confold' -o DPkg::Lock::Timeout=60", "")
                .replace(" </dev/null", ""),
        },
    };
    assert_eq!(got, expect, "{given:?}");
}

#[test]
fn installs_what_is_missing() {
    check(&[("name", "foo")], "-");
    check(&[("name", "foo"), ("state", "latest")], "apt-get -y install 'foo=1.0.1'");
    check(&[("name", "foo=1.0.0"), ("state", "latest")], "-");
    check(&[("name", "foo=1.0.1")], "apt-get -y install 'foo=1.0.1'");
    check(&[("name", "foo=1.*"), ("state", "latest")], "apt-get -y install 'foo=1.0.1'");
    check(&[("name", "foo>=1.0.0")], "-");
    check(&[("name", "foo>=1.0.1")], "apt-get -y install 'foo=1.0.1'");
    check(&[("name", "foo>=2")], "no available installation candidate for foo>=2");
    check(&[("name", "foo=2.0.0")], "apt-get -y install 'foo=2.0.0'");
    check(&[("name", "foo=9")], "no available installation candidate for foo=9");
    check(&[("name", "bar,foo")], "apt-get -y install 'bar=1:2'");
    check(&[("name", "bar"), ("only_upgrade", "yes")], "-");
    check(&[("name", "mta")], "apt-get -y install 'mta'");
    check(&[("name", "gone")], "No package matching 'gone' is available");
    check(&[("name", "nowhere")], "No package matching 'nowhere' is available");
    check(&[("name", "old")], "no available installation candidate for old");
    check(&[("name", "lib:i386")], "-");
    check(
        &[("name", "bar"), ("install_recommends", "no"), ("default_release", "testing"), ("force", "yes")],
        "apt-get -y --force-yes install 'bar=1:2' -t 'testing' -o APT::Install-Recommends=no",
    );
    check(&[("name", "tree"), ("state", "build-dep")], "apt-get -y build-dep 'tree'");
}

#[test]
fn removes_what_is_there() {
    check(&[("name", "foo"), ("state", "absent")], "apt-get -q -y remove 'foo'");
    check(&[("name", "foo=2.0.0"), ("state", "absent")], "-");
    check(&[("name", "old"), ("state", "absent")], "-");
    check(
        &[("name", "old,nowhere"), ("state", "absent"), ("purge", "yes")],
        "apt-get -q -y --purge remove 'old'",
    );
    check(&[("autoremove", "yes")], "apt-get -y autoremove");
    check(&[("autoclean", "yes"), ("autoremove", "no")], "apt-get -y autoclean");
}

#[test]
fn upgrades_everything() {
    check(&[("upgrade", "dist"), ("autoremove", "yes")], "apt-get -y dist-upgrade --auto-remove");
    check(&[("name", "*"), ("state", "latest")], "apt-get -y upgrade --with-new-pkgs");
    check(
        &[("name", "*,foo"), ("state", "latest")],
        "unable to install additional packages when upgrading all installed packages",
    );
    check(&[("name", "a=1=2")], "invalid package spec: a=1=2");
}

#[test]
fn lists_are_fetched_when_they_are_old() {
    let prepares = |given: &[(&str, &str)], expect: bool| {
        let case = Case::new(&Apt, args(given));
        assert_eq!(case.prepare(SEEN).unwrap().is_some(), expect, "{given:?}");
    };
    prepares(&[("update_cache", "yes")], true);
    prepares(&[("update_cache", "yes"), ("cache_valid_time", "99")], true);
    prepares(&[("update_cache", "yes"), ("cache_valid_time", "101")], false);
    prepares(&[("name", "foo")], false);
    let mut case = Case::new(&Apt, args(&[("update_cache", "yes")]));
    case.check = true;
    let prediction = case.plan(SEEN).unwrap();
    assert_eq!(prediction.effect, Effect::Change);
    assert_eq!(Value::map(prediction.result).repr(), "{'cache_updated': True, 'cache_update_time': 900}");
}

#[test]
fn marks_are_set_quietly() {
    let seen = SEEN.replace("manual foo\n", "");
    let prediction = Case::new(&Apt, args(&[("name", "foo")])).plan(seen).unwrap();
    assert_eq!(prediction.effect, Effect::Same);
    assert!(scripts(&prediction)[0].contains("apt-mark manual 'foo'"));
}

#[test]
fn simulations_are_read() {
    let output = "Reading state information...\nThe following NEW packages will be installed:\n  foo\n\
        1 upgraded, 1 newly installed, 1 to remove and 0 not upgraded.\n\
        Remv gone [3]\nInst foo (1.0 localhost [all])\nInst lib:i386 [1] (2 localhost [i386]) []\nConf foo (1.0 localhost [all])\n";
    let diff = super::simulated_change(output, "amd64").diff().unwrap();
    assert_eq!(
        format!("{:?} {:?}", diff.before, diff.after),
        r#"Text("gone 3\nlib:i386 1\n") Text("foo 1.0\nlib:i386 2\n")"#
    );
    assert_eq!(
        super::prepared(output),
        "The following NEW packages will be installed:\n  foo\n1 upgraded, 1 newly installed, 1 to remove and 0 not upgraded."
    );
}
