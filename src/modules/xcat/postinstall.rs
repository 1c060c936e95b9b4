//! `xcat_postinstall`: an image's postinstall script, copied from xCAT's when absent, executable, with the site's fstab
//! lines and commands in a marked block.

use super::common::{self, NAMESPACES};
use super::image_list;
use super::sh::{Sections, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Seen,
};
use crate::transport::Output;
use crate::value::Map;

pub struct Postinstall;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_postinstall",
    namespaces: NAMESPACES,
    about: "Keeps a site's own postinstall script of an image: copied once, executable, fstab lines and commands set",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "The site's script").required().aliases(&["dest"]),
        ArgSpec::new("src", ArgKind::StrList, "Scripts to begin with; the first that exists is copied"),
        ArgSpec::new("profile", ArgKind::Str, "Look for xCAT's own script of this profile"),
        ArgSpec::new("osvers", ArgKind::Str, "Operating system of the image, to find xCAT's own script"),
        ArgSpec::new("osarch", ArgKind::Str, "Architecture of the image, to find xCAT's own script"),
        ArgSpec::new("share", ArgKind::Path, "xCAT's share directory")
            .default("/opt/xcat/share/xcat/netboot"),
        ArgSpec::new(
            "fstab",
            ArgKind::StrList,
            "Lines of the image's fstab; each replaces others of its mount point",
        ),
        ArgSpec::new("commands", ArgKind::Str, "Shell text to run at the end; $1 is the image's root"),
    ],
    returns: &[
        ("path", "the site's script"),
        ("copied_from", "the script that it was or would be copied from"),
    ],
    ..ModuleSpec::BASE
};

const BEGIN: &str = "# BEGIN xplay";
const END: &str = "# END xplay";

impl Module for Postinstall {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let path = path(call)?;
        let look = image_list::look(path, &sources(call));
        Ok(Some(script(&format!("{look}\nif [ -x {p} ]; then xc_say executable yes; fi", p = quote(path)))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let path = path(call)?;
        let sections = Sections::of_probe(seen)?;
        let files = image_list::files(call, path, &sections)?;
        let current = files.get(path).map(String::as_str);
        let mut result = Map::new();
        result.insert("path", path);
        let start = match (current, sections.get("source")) {
            (Some(text), _) => text.to_string(),
            (None, Some(source)) => {
                result.insert("copied_from", source.line());
                files.get(source.line()).cloned().unwrap_or_default()
            }
            (None, None) if sources(call).is_empty() => "#!/bin/sh\n".to_string(),
            (None, None) => {
                return Err(Failure::new(format!(
                    "{path} does not exist, and neither does one of {}",
                    common::listed(&sources(call))
                )));
            }
        };
        let wanted = with_block(&start, &block(call)?);
        let executable = sections.get("executable").is_some();
        if current == Some(wanted.as_str()) && executable {
            return Ok(Prediction::same(result));
        }
        let run = image_list::write_file(path, &wanted, "0755")?;
        let mut prediction = Prediction::change(result, vec![Action::Run(run)])
            .touch(common::text_touch(path, &wanted, "0755"));
        if current != Some(wanted.as_str()) {
            prediction = prediction.diff(common::text_diff(path, current, &wanted));
        } else {
            prediction = prediction
                .diff(common::state_diff(path, [("mode", "not executable".to_string(), "0755".to_string())]));
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        image_list::finish_written(prediction, ran)
    }
}

fn path<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let path = call.args.str("path").unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Failure::new(format!("path must be absolute, got {path:?}")));
    }
    Ok(path)
}

fn sources(call: &Call) -> Vec<String> {
    let mut all = call.args.texts("src");
    all.extend(image_list::shipped(call, "postinstall"));
    all
}

/// Returns the lines of the marked block; none when there is nothing to set.
fn block(call: &Call) -> Result<Vec<String>, Failure> {
    let fstab = call.args.texts("fstab");
    let mut lines = Vec::new();
    if !fstab.is_empty() {
        let mut points = Vec::new();
        for line in &fstab {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if line.contains('\n')
                || line.trim() == "XPLAY_FSTAB"
                || fields.len() < 3
                || fields[0].starts_with('#')
            {
                return Err(Failure::new(format!(
                    "{line:?} is no line of an fstab: device, mount point, type, options"
                )));
            }
            points.push(fields[1].to_string());
        }
        // genimage calls this script each time, and it writes fstab anew; ours come after.
        lines.push("xplay_fstab=\"$1/etc/fstab\"".to_string());
        lines.push("{".to_string());
        let tests: Vec<String> =
            points.iter().map(|p| format!("$2 != \"{}\"", p.replace(['\\', '"'], ""))).collect();
        lines.push(format!(
            "awk {} \"$xplay_fstab\" 2>/dev/null",
            quote(&format!("/^[ \\t]*#/ || ({})", tests.join(" && ")))
        ));
        lines.push("cat <<'XPLAY_FSTAB'".to_string());
        lines.extend(fstab.iter().map(|l| l.trim_end().to_string()));
        lines.push("XPLAY_FSTAB".to_string());
        lines.push(
            "} > \"$xplay_fstab.xplay\" && mv \"$xplay_fstab.xplay\" \"$xplay_fstab\" || exit 1".to_string(),
        );
    }
    if let Some(commands) = call.args.str("commands") {
        lines.extend(commands.trim_end().lines().map(str::to_string));
    }
    if lines.iter().any(|l| l.trim() == BEGIN || l.trim() == END) {
        return Err(Failure::new("commands must not hold the marks of the block"));
    }
    if !lines.is_empty() {
        lines.insert(0, BEGIN.to_string());
        lines.push(END.to_string());
    }
    Ok(lines)
}

/// Returns the script with the block in place of an older one, or at its end, before a last `exit`.
fn with_block(text: &str, block: &[String]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let begin = lines.iter().position(|l| l.trim() == BEGIN);
    let end = lines.iter().position(|l| l.trim() == END);
    let at = match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            lines.drain(begin..=end);
            begin
        }
        _ => {
            let last = lines.iter().rposition(|l| !l.trim().is_empty());
            match last {
                Some(i) if lines[i].trim() == "exit" || lines[i].starts_with("exit ") => i,
                _ => lines.len(),
            }
        }
    };
    lines.splice(at..at, block.iter().map(String::as_str));
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::{printed, run_with};
    use super::*;
    use crate::modules::Effect;
    use serde_json::json;

    fn args() -> serde_json::Value {
        json!({ "path": "/c/service.postinstall", "fstab": ["proc /proc proc rw 0 0", "mn:/install /install nfs ro 0 0"], "commands": "touch \"$1/etc/x\"" })
    }

    #[test]
    fn the_block_stands_before_the_last_exit_and_is_stable() {
        let block = with_call(&Postinstall, args(), false, block).expect("made");
        let once = with_block("#!/bin/sh\ninstallroot=$1\nexit 0\n", &block);
        assert!(
            once.starts_with("#!/bin/sh\ninstallroot=$1\n# BEGIN xplay\n")
                && once.ends_with("# END xplay\nexit 0\n")
        );
        assert_eq!(with_block(&once, &block), once);
        assert_eq!(with_block(&once, &[]), "#!/bin/sh\ninstallroot=$1\nexit 0\n");
    }

    #[test]
    fn the_script_sets_the_lines() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("etc")).expect("made");
        let shipped = "#!/bin/sh\ncat <<END >$1/etc/fstab\n# root\nproc /proc proc old 0 0\ntmpfs /tmp tmpfs rw 0 2\nEND\n";
        let block = with_call(&Postinstall, args(), false, block).expect("made");
        let text = with_block(shipped, &block);
        let output = run_with("sh", &format!("set -- {}\n{text}", quote(&dir.path().to_string_lossy())), &[]);
        assert_eq!(output.rc, 0, "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            std::fs::read_to_string(dir.path().join("etc/fstab")).expect("there"),
            "# root\ntmpfs /tmp tmpfs rw 0 2\nproc /proc proc rw 0 0\nmn:/install /install nfs ro 0 0\n"
        );
        assert!(dir.path().join("etc/x").exists());
    }

    #[test]
    fn a_script_that_is_not_executable_is_a_change() {
        let block = with_call(&Postinstall, args(), false, block).expect("made");
        let text = with_block("#!/bin/sh\n", &block);
        let plan = |sections: &[(&str, &str, i32, &str)]| {
            with_call(&Postinstall, args(), false, |call| Postinstall.plan(call, &printed(sections)))
                .expect("planned")
                .effect
        };
        let file = ("file /c/service.postinstall", text.as_str(), 0, "");
        assert_eq!(plan(&[file, ("executable", "yes\n", 0, "")]), Effect::Same);
        assert_eq!(plan(&[file]), Effect::Change);
    }
}
