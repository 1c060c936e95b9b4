//! `apt` with `deb`: package files on the target or behind a URL, with what they depend on.

use super::apt::{SIMULATE, failure, simulated_change, with_policy};
use super::apt_state::ENVIRONMENT;
use super::fetch::{self, Certificates};
use super::set::{LIST_DPKG, SetChange, text};
use crate::modules::sh::{Report, q};
use crate::modules::{Action, Args, Call, Effect, Failure, Outcome, Prediction, Run, Seen};
use crate::transport::Output;
use crate::value::Map;

/// Returns the script that compares the files with what is installed and installs those that differ. It prints
/// whether there were any, and after `content` the tool's words.
pub fn script(args: &Args, files: &str, simulate: bool) -> String {
    let mut script = String::from(fetch::private_dir());
    let mut options = String::new();
    for option in args.str("dpkg_options").unwrap_or_default().split(',').filter(|o| !o.is_empty()) {
        add!(options, " --{option}");
    }
    let mut apt = String::new();
    for option in options.split_whitespace() {
        add!(apt, " -o {}", q(&format!("Dpkg::Options::={option}")));
    }
    match args.bool("install_recommends") {
        Some(true) => apt += " -o APT::Install-Recommends=yes",
        Some(false) => apt += " -o APT::Install-Recommends=no",
        None => {}
    }
    for (name, option) in [
        ("fail_on_autoremove", " --no-remove"),
        ("allow_unauthenticated", " --allow-unauthenticated"),
        ("allow_downgrade", " --allow-downgrades"),
        ("allow_change_held_packages", " --allow-change-held-packages"),
    ] {
        if args.flag(name) {
            apt += option;
        }
    }
    let (simulated, tries) = if simulate { (SIMULATE, " --simulate") } else { ("", "") };
    let (force, downgrade) =
        (if args.flag("force") { "1" } else { "" }, if args.flag("allow_downgrade") { "1" } else { "" });
    script += "set --\n";
    for (index, file) in files.split(',').enumerate() {
        if file.contains("://") {
            let dest = format!("\"$xp_dir/{index}.deb\"");
            script += &fetch::script(file, &dest, Certificates::Checked);
            add!(script, "xp_f={dest}\n");
        } else {
            add!(script, "xp_f={}\n", q(file));
        }
        add!(
            script,
            "[ -r \"$xp_f\" ] || xp_fail \"Unable to install package: E:Could not open file $xp_f - open (2: No such file or directory)\"\n\
             xp_n=$(dpkg-deb -f \"$xp_f\" Package 2>&1) || xp_fail \"Unable to install package: $xp_n\"\n\
             xp_v=$(dpkg-deb -f \"$xp_f\" Version); xp_a=$(dpkg-deb -f \"$xp_f\" Architecture)\n\
             case $xp_a in all) xp_q=$xp_n ;; *) xp_q=$xp_n:$xp_a; [ -n \"{force}\" ] || {{ dpkg --print-architecture; dpkg --print-foreign-architectures; }} | grep -qxF \"$xp_a\" || xp_fail \"Wrong architecture '$xp_a' -- Run dpkg --add-architecture to add it and update afterwards\" ;; esac\n\
             xp_i=$(dpkg-query -W -f='${{db:Status-Status}} ${{Version}}' \"$xp_q\" 2>/dev/null)\n\
             case $xp_i in \"installed $xp_v\") ;; *)\n\
             case $xp_i in 'installed '*) if [ -z \"{force}{downgrade}\" ] && dpkg --compare-versions \"${{xp_i#installed }}\" gt \"$xp_v\"; then xp_fail 'A later version is already installed'; fi ;; esac\n\
             set -- \"$@\" \"$xp_f\" ;; esac\n"
        );
    }
    let forced = format!("dpkg{options}{tries} --force-all -i \"$@\" </dev/null");
    let install = if args.flag("force") {
        forced
    } else {
        // Tools before apt 1.1 do not take files.
        format!(
            "if apt-get --help 2>/dev/null | grep -q '^ *satisfy ' || dpkg --compare-versions \"$(dpkg-query -W -f='${{Version}}' apt 2>/dev/null)\" ge 1.1; then apt-get -y{apt}{simulated} -o DPkg::Lock::Timeout={} install \"$@\" </dev/null\n\
             else dpkg{options}{tries} -i \"$@\" </dev/null || {{ [ -z \"{tries}\" ] && apt-get -y{apt} -f install </dev/null; }}; fi",
            args.int("lock_timeout").unwrap_or(60)
        )
    };
    add!(
        script,
        "if [ $# -eq 0 ]; then printf 'deb same\\n'; exit 0; fi\nprintf 'arch %s\\ndeb changed\\ncontent\\n' \"$(dpkg --print-architecture)\"\n{install}\n"
    );
    script
}

/// Predicts; `simulated` is what the script said in check mode.
pub fn plan(call: &Call, files: &str, simulated: Option<&Seen>) -> Result<Prediction, Failure> {
    let actions = vec![
        Action::run(LIST_DPKG),
        Action::Run(Run {
            // The folder's own trap comes last, so the answer to services is undone in a shell of its own.
            script: format!(
                "{ENVIRONMENT}(\n{}\n)\n",
                with_policy(&call.args, &format!("(\n{})\n", script(&call.args, files, false)))
            ),
            long: true,
            ..Run::default()
        }),
        Action::run(LIST_DPKG),
    ];
    let Some(seen) = simulated else { return Ok(Prediction::unknown(Map::new(), actions)) };
    let output =
        Output { rc: seen.rc, stdout: seen.stdout.clone(), stderr: seen.stderr.clone(), ..Output::default() };
    let Some(tool) = tool_output(&output)? else { return Ok(Prediction::same(Map::new())) };
    let mut prediction = Prediction::change(Map::new(), actions);
    let report = Report::parse(&seen.stdout);
    prediction.diff =
        simulated_change(&tool, report.get("arch").unwrap_or_default()).diff().into_iter().collect();
    prediction.result.insert("stdout", tool);
    prediction.result.insert("stderr", text(&seen.stderr));
    Ok(prediction)
}

/// Returns what the tool printed; nothing when there was nothing to install.
fn tool_output(output: &Output) -> Result<Option<String>, Failure> {
    let report = Report::parse(&output.stdout);
    match (report.get("deb"), output.rc) {
        (Some("same"), 0) => Ok(None),
        (Some("changed"), 0) => Ok(Some(text(report.content.as_deref().unwrap_or_default()))),
        (Some("changed"), _) => {
            let shown = Output {
                rc: output.rc,
                stdout: report.content.unwrap_or_default(),
                stderr: output.stderr.clone(),
                ..Output::default()
            };
            Err(failure("apt-get install", &shown))
        }
        _ => Err(Failure::from_output(output)),
    }
}

/// Makes the result from the lists before and after, and what the script printed.
pub fn finish(
    mut prediction: Prediction,
    before: &Output,
    done: &Output,
    rest: &[Output],
) -> Result<Outcome, Failure> {
    let tool = tool_output(done)?;
    prediction.effect = if tool.is_some() { Effect::Change } else { Effect::Same };
    prediction.result.insert("stdout", tool.unwrap_or_default());
    prediction.result.insert("stderr", text(&done.stderr));
    if let Some(after) = rest.first() {
        prediction.diff = SetChange::between(&before.stdout, &after.stdout).diff().into_iter().collect();
    }
    Ok(prediction.into_outcome())
}
