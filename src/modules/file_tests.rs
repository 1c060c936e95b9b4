//! Tests of `file`: attributes, removal, links.

use super::file::File;
use super::{Effect, Failure, Prediction};
use crate::modules::testing::{Case, args, scripts};
use crate::value::Value;

fn plan(given: &[(&str, &str)], stat: &str) -> Result<Prediction, Failure> {
    let mut given = given.to_vec();
    given.push(("path", "/d/f"));
    Case::new(&File, args(&given)).plan(format!("umask 0022\nlstat {stat}\n"))
}

const FILE: &str = "81a4 0 0 3 1 1 1 9 1 1 0 0 8 4096 :root:root:";
const DIR: &str = "41ed 0 0 3 1 1 1 9 2 1 0 0 8 4096 :root:root:";

#[test]
fn attributes() {
    assert_eq!(plan(&[("mode", "0644"), ("owner", "0")], FILE).unwrap().effect, Effect::Same);
    let change = plan(&[("mode", "u+x"), ("owner", "7")], FILE).unwrap();
    assert_eq!(
        scripts(&change),
        ["xp_do \"change the owner of \"'/d/f' chown -h 7 '/d/f'\n\
          xp_do \"set the mode of \"'/d/f' chmod 0744 '/d/f'\nprintf 'after '; xp_stat '/d/f'\n"]
    );
    assert_eq!(change.result.get("mode"), Some(&Value::str("0744")));
    assert_eq!(
        plan(&[("state", "file")], "absent").unwrap_err().msg,
        "file (/d/f) is absent, cannot continue"
    );
    assert_eq!(plan(&[("state", "directory")], FILE).unwrap_err().msg, "/d/f already exists as a file");
}

#[test]
fn removal_is_careful() {
    assert_eq!(
        scripts(&plan(&[("state", "absent")], DIR).unwrap()),
        ["xp_do \"remove \"'/d/f' rm -rf -- '/d/f'\n"]
    );
    assert_eq!(plan(&[("state", "absent")], "absent").unwrap().effect, Effect::Same);
    for path in ["/", "/x/..", "/x/./"] {
        let case = Case::new(&File, args(&[("path", path), ("state", "absent")]));
        let failure = case.plan(format!("umask 0022\nlstat {DIR}\n")).unwrap_err();
        assert_eq!(failure.msg, format!("refusing to remove {path}"));
    }
}

#[test]
fn flags_of_chattr() {
    let case = |flags: &str| Case::new(&File, args(&[("path", "/d/f"), ("attributes", flags)]));
    let seen = format!("umask 0022\nlstat {FILE}\nflags --------A------- /d/f\n");
    assert_eq!(case("A").plan(seen.clone()).unwrap().effect, Effect::Same);
    assert_eq!(case("").plan(seen.clone()).unwrap().effect, Effect::Same);
    assert_eq!(
        scripts(&case("-A").plan(seen).unwrap()),
        ["xp_do \"set the attributes of \"'/d/f' chattr '-A' '/d/f'\nprintf 'after '; xp_stat '/d/f'\n"]
    );
}

#[test]
fn what_goes_with_a_folder_is_told() {
    let seen = format!("umask 0022\nlstat {DIR}\ncontent\n/d/f/sub\0\0/d/f/sub/x\0/d/f/y\0");
    let prediction = Case::new(&File, args(&[("path", "/d/f"), ("state", "absent")])).plan(seen).unwrap();
    let crate::modules::DiffSide::Attributes(before) = &prediction.diff[0].before else {
        panic!("attributes")
    };
    assert_eq!(
        before.get("path_content").unwrap().repr(),
        "{'directories': ['/d/f/sub'], 'files': ['/d/f/sub/x', '/d/f/y']}"
    );
}

#[test]
fn previews_warn_of_unknown_owners() {
    let mut case = Case::new(&File, args(&[("path", "/d/f"), ("owner", "4711")]));
    case.check = true;
    let failure = case.plan("umask 0022\nunknown_owner yes\nlstat absent\n").unwrap_err();
    assert_eq!(
        failure.result.get("warnings").unwrap().repr(),
        "['failed to look up user with uid 4711. Create user up to this point in real play']"
    );
}

#[test]
fn hard_links_go_into_folders() {
    let seen = format!("inside yes\numask 0022\nlstat absent\nsrc {FILE}\n");
    let given = args(&[("path", "/d/f"), ("src", "/s/x"), ("state", "hard")]);
    let prediction = Case::new(&File, given).plan(seen).unwrap();
    assert_eq!(prediction.result.get("dest").unwrap().to_text(), "/d/f/x");
    assert_eq!(
        scripts(&prediction),
        ["xp_do \"make the link \"'/d/f/x' ln -f -- '/s/x' '/d/f/x'\nprintf 'after '; xp_stat '/d/f/x'\n"]
    );
}
