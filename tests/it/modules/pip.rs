//! `pip` by a real pip in a virtual environment, with packages that the test makes: no network is asked.

use std::process::Command;

use xplay::modules::{DiffSide, Effect};

use super::harness::{Bench, shells};

/// Makes a package that holds nothing but its name, in the form that pip installs without building.
const WHEELS: &str = r#"mkdir -p wheels; for v in 1.0 2.0; do "$PYTHON" - $v <<'END'
import sys, zipfile
version = sys.argv[1]
info = f"alpha_x-{version}.dist-info"
with zipfile.ZipFile(f"wheels/alpha_x-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr("alpha_x.py", f"version = {version!r}\n")
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: alpha-x\nVersion: {version}\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "")
END
done"#;

/// Returns a Python of this machine that can make virtual environments with a pip in them.
fn python() -> Option<String> {
    let asked = Command::new("python3")
        .args(["-c", "import ensurepip, sys, venv; print(sys.executable)"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(asked.stdout).ok().map(|path| path.trim().to_string())
}

#[test]
fn a_real_pip_does_what_was_foreseen() {
    let Some(python) = python() else {
        println!("skipped: no python3 here can make virtual environments");
        return;
    };
    let shells = shells();
    let mut bench = Bench::new(&shells[0]);
    bench.environment.push(("PYTHON", python.clone()));
    bench.sh(WHEELS);
    let args = |more: &str| {
        let always = format!(r#""virtualenv": "$D/an env", "virtualenv_command": "{python} -m venv""#);
        // What is removed comes from nowhere.
        let from = r#""extra_args": "--no-index --find-links '$D/wheels'""#;
        if more.contains("absent") {
            format!("{{{always}, {more}}}")
        } else {
            format!("{{{always}, {from}, {more}}}")
        }
    };
    let packages = |diff: &[xplay::modules::Diff]| -> Vec<String> {
        let found = diff.iter().filter(|diff| diff.after_header == "packages");
        let text = |side: &DiffSide| match side {
            DiffSide::Text(text) => text.trim_end().to_string(),
            other => format!("{other:?}"),
        };
        found.map(|diff| format!("{} -> {}", text(&diff.before), text(&diff.after))).collect()
    };
    let change = |more: &str, foreseen: &str| {
        let args = args(more);
        let before = bench.content();
        let plan = bench.plan("pip", &args, true).unwrap_or_else(|f| panic!("{more}: {}", f.msg));
        assert_eq!(bench.content(), before, "{more}: planning wrote");
        assert_eq!(
            (plan.effect, packages(&plan.diff)),
            (Effect::Change, vec![foreseen.to_string()]),
            "{more}"
        );
        let planned = bench.plan("pip", &args, false).unwrap();
        let outcome = bench.apply("pip", &args, planned).unwrap_or_else(|f| panic!("{more}: {}", f.msg));
        assert!(outcome.changed, "{more}");
        assert_eq!(packages(&outcome.diff), [foreseen], "{more}");
        let again = bench.plan("pip", &args, true).unwrap();
        assert_eq!(again.effect, Effect::Same, "{more}: {:?}", again.diff);
    };
    change(r#""name": "Alpha.x==1.0""#, " -> alpha-x 1.0");
    change(r#""name": "alpha_x", "state": "latest""#, "alpha-x 1.0 -> alpha-x 2.0");
    change(r#""name": "alpha-x", "state": "absent""#, "alpha-x 2.0 -> ");
    let none = bench.plan("pip", &args(r#""name": "never-made", "version": "1""#), true).unwrap_err();
    assert!(none.msg.contains("No matching distribution found for never-made==1"), "{}", none.msg);
}
