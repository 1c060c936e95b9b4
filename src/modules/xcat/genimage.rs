//! `xcat_genimage`: the root tree of a diskless image, made only when one of its inputs changed.
//!
//! `genimage` itself always runs. A stamp beside the tree, `.xplay-genimage`, holds the digests of what the tree was
//! made from; it is taken away before a run and comes back only after the result was verified.

use super::common::{self, NAMESPACES};
use super::genimage_inputs::{self as inputs, FUNCTIONS};
use super::osimage::check_name;
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Section, Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Unknown};

pub struct Genimage;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_genimage",
    namespaces: NAMESPACES,
    about: "Makes the root tree, kernel and initial ramdisks of a diskless osimage when one of its inputs changed",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "Name of the osimage").required().aliases(&["image"]),
        ArgSpec::new(
            "rootimgdir",
            ArgKind::Path,
            "The image's directory, for plans made before the osimage exists",
        ),
        ArgSpec::new(
            "definition",
            ArgKind::Dict,
            "The osimage's attributes, for a host that builds for a management node and has no xcatd",
        ),
        ArgSpec::new(
            "command",
            ArgKind::Str,
            "What to run instead of genimage on such a host: the command that genimage --dryrun prints",
        ),
        ArgSpec::new(
            "packages",
            ArgKind::StrList,
            "Packages that must be in the tree; default those of otherpkglist",
        ),
        ArgSpec::new("force", ArgKind::Bool, "Run although no input changed").default("false"),
        ArgSpec::new("from_scratch", ArgKind::Bool, "Remove the tree first (rmimage) when it is to be made")
            .default("false"),
        ArgSpec::new("noupdate", ArgKind::Bool, "Do not update packages that are in the tree")
            .default("false"),
        ArgSpec::new("onlyinitrd", ArgKind::Bool, "Make the kernel and initial ramdisks only")
            .default("false"),
        ArgSpec::new("lock_timeout", ArgKind::Int, "Seconds to wait for another genimage of the same tree")
            .default("3600"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("7200"),
    ],
    returns: &[
        ("rootimgdir", "the image's directory"),
        ("reasons", "which inputs changed"),
        ("packages", "the verified packages with their versions"),
    ],
    ..ModuleSpec::BASE
};

impl Module for Genimage {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn locks(&self, call: &Call) -> Locks {
        relations::locks(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let mut body = begin(call, "xc_image")?;
        body.push_str(
            "[ -n \"$xc_def\" ] || xc_def=none\nxc_run inputs x_genimage_inputs\n\
             if [ -f \"$x_root/.xplay-genimage\" ]; then xc_run stamp cat \"$x_root/.xplay-genimage\"; fi\n\
             x_tree\nxc_say lock \"$(xc_lock_holder \"$x_root/rootimg\")\"",
        );
        Ok(Some(script(&body)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let name = call.args.str("name").unwrap_or_default();
        let sections = Sections::of_probe(seen)?;
        let definition = definition(call, &sections, name)?;
        let mut reasons = Vec::new();
        match &definition {
            None => {
                common::unless_predicting(call, || {
                    Failure::new(format!("the osimage {name} does not exist"))
                })?;
                reasons.push(format!("the osimage {name} does not exist yet"));
            }
            Some(definition) => {
                check_definition(name, definition)?;
                reasons.extend(input_reasons(call, &sections)?);
            }
        }
        reasons.extend(missing_tree(&sections));
        if call.args.flag("force") {
            reasons.push("it is forced".into());
        }
        let depends: Vec<Unknown> =
            definition.iter().flat_map(|d| inputs::changed_first(call, d, INPUTS)).collect();
        if reasons.is_empty() {
            reasons.extend(relations::changed_first(call, relations::OSIMAGE, name));
            reasons.extend(depends.iter().map(|unknown| unknown.cause.to_string()));
        }
        let root = common::rootimgdir(call, definition.as_ref());
        let mut result = Map::new();
        result.insert("name", name);
        result.insert("rootimgdir", root.clone());
        if reasons.is_empty() {
            return Ok(Prediction::same(result));
        }
        result.insert("reasons", reasons.clone());
        let root_tree = root.as_ref().map(|root| format!("{root}/rootimg"));
        let mut warnings = Vec::new();
        let holder = sections.line("lock");
        if !holder.is_empty() {
            warnings.push(format!(
                "process {holder} holds the lock of {}/rootimg: another genimage or packimage is running, and this \
                 one waits for it",
                root.clone().unwrap_or_default()
            ));
        }
        let actions = vec![
            Action::Run(Run {
                script: change_script(call, name)?,
                long: true,
                timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
                ..Run::default()
            }),
            Action::run(verify_script(call, definition.as_ref())?),
        ];
        let diff = common::state_diff(
            &format!("tree of {name}"),
            [(
                "state",
                reasons.join("; "),
                format!("made from the inputs of now in {}", root.unwrap_or_default()),
            )],
        );
        let mut prediction = Prediction::change(result, actions).diff(diff);
        let then = sections.text("stamp");
        prediction.diff.extend(inputs::list_diffs(then, sections.text("inputs")));
        prediction.touches.extend(root_tree.map(|path| Touch::Tree { path }));
        Ok(Prediction { warnings, depends, ..prediction })
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(first) = ran.first() else { return Ok(prediction.into_outcome()) };
        let name = call.args.str("name").unwrap_or_default();
        let made = Sections::parse(&first.stdout);
        if first.rc != 0 {
            return Err(failed(name, first, &made));
        }
        let mut outcome = prediction.into_outcome();
        let root = outcome.result.get("rootimgdir").map(|v| v.to_text()).unwrap_or_default();
        outcome.warnings.extend(mounts(&made.plain, &root)?);
        outcome.warnings.extend(dracut_errors(&made.plain));
        let sections = Sections::of_change(ran, 1)?;
        let missing = missing_tree(&sections);
        if !missing.is_empty() {
            return Err(Failure::new(format!(
                "genimage of {name} ended with rc 0, but {}",
                common::listed(&missing)
            ))
            .with("stdout_lines", common::tail(&made.plain, 20)));
        }
        if let Some(rpm) = sections.get("rpm") {
            outcome.result.insert("packages", check_packages(name, rpm, &made)?);
            if rpm.rc == 127 {
                outcome
                    .warnings
                    .push("rpm is neither here nor in the tree: the packages were not verified".into());
            }
        }
        if sections.get("stamped").is_none() {
            return Err(Failure::new(format!("cannot write {root}/.xplay-genimage")));
        }
        outcome.result.insert("stdout", made.plain);
        Ok(outcome)
    }
}

/// Reads the definition by the function `image` and sets `x_root`. What a long action prints is shown to people, so it
/// takes the function that prints nothing.
fn begin(call: &Call, image: &str) -> Result<String, Failure> {
    let name = call.args.str("name").unwrap_or_default();
    check_name(name)?;
    let mut body = FUNCTIONS.to_string();
    let given = common::attrs_arg(call, "definition")?;
    if given.is_empty() {
        add(&mut body, format_args!("{image} {}\n", quote(name)));
    } else {
        let stanza = parse::stanza(name, "osimage", &given);
        add(&mut body, format_args!("xc_def={}\n", quote(stanza.trim_end())));
    }
    let fallback = call.args.str("rootimgdir").unwrap_or_default().trim_end_matches('/');
    if !fallback.is_empty() && !fallback.starts_with('/') {
        return Err(Failure::new(format!("rootimgdir must be absolute, got {fallback:?}")));
    }
    add(
        &mut body,
        format_args!(
            "x_root=$(xc_attr rootimgdir)\nx_root=${{x_root:-{}}}\nx_root=${{x_root%/}}\n\
             x_tree() {{\n  for f in etc/os-release etc/redhat-release etc/SuSE-release; do\n    \
             if [ -e \"$x_root/rootimg/$f\" ] || [ -L \"$x_root/rootimg/$f\" ]; then xc_say release \"$f\"; break; fi\n  done\n  \
             [ ! -s \"$x_root/kernel\" ] || xc_say kernel yes\n  for f in initrd-stateless.gz initrd.gz; do\n    \
             if [ -s \"$x_root/$f\" ]; then xc_say initrd \"$f\"; break; fi\n  done\n}}\n",
            quote(fallback)
        ),
    );
    Ok(body)
}

/// The attributes that name files and folders which a tree is made from.
const INPUTS: &[(&str, &str)] = &[
    ("list", "pkglist"),
    ("list", "otherpkglist"),
    ("postinstall script", "postinstall"),
    ("packages in", "otherpkgdir"),
    ("distribution in", "pkgdir"),
];

fn definition(call: &Call, sections: &Sections, name: &str) -> Result<Option<Attrs>, Failure> {
    let given = common::attrs_arg(call, "definition")?;
    if given.is_empty() { common::definition(call, sections, name) } else { Ok(Some(given)) }
}

fn check_definition(name: &str, definition: &Attrs) -> Result<(), Failure> {
    let get = |key: &str| definition.get(key).map(String::as_str).unwrap_or_default();
    if !matches!(get("provmethod"), "netboot" | "statelite") {
        return Err(Failure::new(format!(
            "the osimage {name} has provmethod={}: only netboot and statelite images have a tree",
            get("provmethod")
        )));
    }
    let empty: Vec<&str> = ["osvers", "osarch", "profile", "pkglist", "rootimgdir"]
        .into_iter()
        .filter(|k| get(k).is_empty())
        .collect();
    if !empty.is_empty() {
        return Err(Failure::new(format!("the osimage {name} has no {}", common::listed(&empty))));
    }
    Ok(())
}

fn input_reasons(call: &Call, sections: &Sections) -> Result<Vec<String>, Failure> {
    let now = inputs::parse(sections.text("inputs"));
    for (kind, what) in [("list", "list"), ("postinstall", "postinstall script")] {
        let missing: Vec<&str> = inputs::missing(&now, kind).collect();
        if let Some(first) = missing.first() {
            common::unless_predicting(call, || Failure::new(format!("the {what} {first} does not exist")))?;
        }
    }
    if let Some(script) = inputs::missing(&now, "executable").next() {
        common::unless_predicting(call, || {
            Failure::new(format!("the postinstall script {script} is not executable, so genimage would fail"))
        })?;
    }
    Ok(match sections.get("stamp") {
        None if sections.get("release").is_some() => {
            vec!["the tree was not made by xplay, so what it was made from is not known".into()]
        }
        None => Vec::new(),
        Some(stamp) => inputs::differences(&inputs::parse(&stamp.out), &now),
    })
}

fn missing_tree(sections: &Sections) -> Vec<String> {
    [
        ("release", "the tree rootimg holds no system"),
        ("kernel", "the kernel is missing"),
        ("initrd", "the initial ramdisk is missing"),
    ]
    .into_iter()
    .filter(|(section, _)| sections.get(section).is_none())
    .map(|(_, words)| words.to_string())
    .collect()
}

fn change_script(call: &Call, name: &str) -> Result<String, Failure> {
    let mut body = begin(call, "xc_quiet_image")?;
    let lock = call.args.int("lock_timeout").unwrap_or(3600).clamp(0, 86_400);
    add(
        &mut body,
        format_args!(
            "x_mounts() {{ cut -d ' ' -f 2 /proc/mounts 2>/dev/null | sort; }}\nx_waited=0\n\
             while x_pid=$(xc_lock_holder \"$x_root/rootimg\"); [ -n \"$x_pid\" ]; do\n  \
             if [ \"$x_waited\" -ge {lock} ]; then echo \"process $x_pid holds the lock of $x_root/rootimg: another genimage or packimage \
             is running\" >&2; exit 75; fi\n  xc_progress \"waiting for process $x_pid, which works on $x_root/rootimg\"\n  \
             sleep 2\n  x_waited=$((x_waited + 2))\ndone\n\
             mkdir -p \"$x_root\" || exit 1\nx_genimage_inputs >\"$x_root/.xplay-genimage.new\" || exit 1\nrm -f \"$x_root/.xplay-genimage\"\n\
             x_before=$(x_mounts)\n"
        ),
    );
    if call.args.flag("from_scratch") {
        // A tree with something mounted in it must never be removed: the removal would go on in what is mounted.
        add(
            &mut body,
            format_args!(
                "if grep -F \" $x_root/rootimg\" /proc/mounts >&2; then echo \"something is mounted below $x_root/rootimg: unmount it first\" >&2; exit 1; fi\n\
                 if [ -d \"$x_root/rootimg\" ]; then xcat rmimage {} || exit; fi\n",
                quote(name)
            ),
        );
    }
    match call.args.str("command").filter(|c| !c.trim().is_empty()) {
        Some(command) => add(&mut body, format_args!("sh -c {}\n", quote(command))),
        None => {
            let mut options = String::new();
            for (arg, option) in [("onlyinitrd", " --onlyinitrd"), ("noupdate", " --noupdate")] {
                if call.args.flag(arg) {
                    options.push_str(option);
                }
            }
            add(&mut body, format_args!("xcat genimage{options} {}\n", quote(name)));
        }
    }
    body.push_str("x_rc=$?\nx_mounts | while IFS= read -r x_m; do\n  case \"$xc_nl$x_before$xc_nl\" in *\"$xc_nl$x_m$xc_nl\"*) ;; *) echo \"left mounted: $x_m\" ;; esac\ndone\n\
         exit $x_rc");
    Ok(script(&body))
}

fn verify_script(call: &Call, definition: Option<&Attrs>) -> Result<String, Failure> {
    let mut body = begin(call, "xc_quiet_image")?;
    body.push_str("x_tree\nx_ok=yes\nx_rpm() {\n  if command -v rpm >/dev/null 2>&1; then rpm --root \"$x_root/rootimg\" -q \"$@\"\n  \
                   else chroot \"$x_root/rootimg\" rpm -q \"$@\"; fi\n}\n");
    let wanted = call.args.texts("packages");
    let from_list = definition.is_some_and(|d| d.get("otherpkglist").is_some_and(|l| !l.is_empty()));
    if !wanted.is_empty() {
        add(&mut body, format_args!("set -- {}\n", common::words(&wanted)));
    } else if from_list {
        // The last part of each entry is the package: xcat/xcat-core/xCATsn.
        body.push_str(
            "x_names() { [ ! -f \"$1\" ] || sed -e '/^[[:space:]]*#/d' -e 's/[,[:space:]]/\\n/g' \"$1\" | \
             sed -n -e '/^[-@]/d' -e '/[*?]/d' -e 's|.*/||' -e '/./p'; }\nx_list_names() { xc_includes x_names \"$1\"; }\n\
             x_all=$(xc_comma x_list_names \"$(xc_attr otherpkglist)\")\nset -f\nset -- $x_all\nset +f\n",
        );
    } else {
        body.push_str("set --\n");
    }
    body.push_str(
        "if [ $# -gt 0 ]; then xc_run rpm x_rpm \"$@\"; case $xc_rc in 0|127) ;; *) x_ok=no ;; esac; fi\n\
         [ -s \"$x_root/kernel\" ] && { [ -s \"$x_root/initrd-stateless.gz\" ] || [ -s \"$x_root/initrd.gz\" ]; } || x_ok=no\n\
         if [ \"$x_ok\" = yes ] && mv -f \"$x_root/.xplay-genimage.new\" \"$x_root/.xplay-genimage\"; then xc_say stamped yes; fi",
    );
    Ok(script(&body))
}

/// Returns the failure of genimage itself. What went wrong stands in the last lines of stdout; stderr only repeats it.
fn failed(name: &str, output: &Output, made: &Sections) -> Failure {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.rc == 111 || made.plain.contains("Unable to open socket connection to xcatd") {
        return Failure::new("management node not ready: xcatd does not answer").with("rc", 111);
    }
    let telling = |line: &&str| {
        [
            "RPM package manager invocation failed",
            "postinstall script",
            "is not executable",
            "couldn't find the kernel",
            "failed to acquire lock",
            "No space left on device",
        ]
        .iter()
        .any(|t| line.contains(t))
    };
    let packages: Vec<&str> =
        made.plain.lines().filter_map(|l| l.trim().strip_prefix("No match for argument: ")).collect();
    let cause = made
        .plain
        .lines()
        .rev()
        .find(telling)
        .map(|l| l.trim().to_string())
        .or_else(|| {
            let first = parse::messages(&stderr).into_iter().find(|m| !m.warning).map(|m| m.text);
            first.filter(|t| !t.starts_with("Command failed:") && !t.starts_with("genimage command failed"))
        })
        .or_else(|| common::tail(&made.plain, 1).pop())
        .or_else(|| common::tail(&stderr, 1).pop())
        .unwrap_or_else(|| "no message".into());
    let full = made.plain.lines().find(|l| l.contains("No space left")).map(str::trim);
    let also = if let Some(full) = full.filter(|f| *f != cause) {
        format!(" ({full})")
    } else if packages.is_empty() {
        String::new()
    } else {
        format!(" (no repository holds {})", common::listed(&packages))
    };
    Failure::new(format!("genimage of {name} failed: {cause}{also}"))
        .with("rc", output.rc)
        .with("stdout_lines", common::tail(&made.plain, 20))
        .with("stdout", made.plain.clone())
        .with("stderr", stderr.into_owned())
}

/// Judges what was mounted during the run and not before. A mount left below the image is a failure: a later removal
/// would go on inside it.
fn mounts(said: &str, root: &str) -> Result<Vec<String>, Failure> {
    let left: Vec<&str> = said.lines().filter_map(|l| l.strip_prefix("left mounted: ")).collect();
    let below = format!("{root}/");
    let inside: Vec<&&str> = left.iter().filter(|p| !root.is_empty() && p.starts_with(&below)).collect();
    if !inside.is_empty() {
        return Err(Failure::new(format!("genimage left mounts behind: {}", common::listed(&inside))));
    }
    Ok(left.into_iter().map(|p| format!("{p} was mounted while genimage ran")).collect())
}

fn dracut_errors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| l.contains("dracut-install: ERROR:")) {
        if !found.iter().any(|f| f == line) {
            found.push(line.to_string());
        }
    }
    found
}

fn check_packages(name: &str, rpm: &Section, made: &Sections) -> Result<Vec<String>, Failure> {
    let absent: Vec<&str> = rpm
        .lines()
        .filter_map(|l| l.trim().strip_prefix("package ").and_then(|l| l.strip_suffix(" is not installed")))
        .collect();
    if !absent.is_empty() {
        return Err(Failure::new(format!(
            "genimage of {name} ended with rc 0, but the tree lacks {}",
            common::listed(&absent)
        ))
        .with("stdout_lines", common::tail(&made.plain, 20)));
    }
    if rpm.rc != 0 && rpm.rc != 127 {
        return Err(common::command_failed("cannot ask the tree for its packages", rpm));
    }
    Ok(rpm.lines().map(|l| l.trim().to_string()).collect())
}

#[cfg(test)]
#[path = "genimage_tests.rs"]
mod tests;
