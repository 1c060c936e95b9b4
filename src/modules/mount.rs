//! `mount`: file systems in fstab and as they are mounted.

use super::attrs::Attrs;
use super::sh::{Report, expand_path, q};
use super::text::lines;
use super::write::{self, attr_diff, then};
use super::{
    Action, ArgKind, ArgSpec, Args, Call, Change, DiffSide, Failure, Module, ModuleSpec, Outcome, Prediction,
    Rule, Seen, Thing, Touch, edit,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const HIDDEN: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";

static SPEC: ModuleSpec = ModuleSpec {
    name: "mount",
    namespaces: &["ansible.posix"],
    about: "Controls what is mounted, now and at each start.",
    args: &[
        ArgSpec::new("path", ArgKind::Path, "Where it is mounted.").required().aliases(&["name"]),
        ArgSpec::new("state", ArgKind::Str, "In fstab, mounted, both or neither.").required().choices(&[
            "absent",
            "absent_from_fstab",
            "mounted",
            "present",
            "unmounted",
            "remounted",
            "ephemeral",
        ]),
        ArgSpec::new("src", ArgKind::Path, "What is mounted."),
        ArgSpec::new("fstype", ArgKind::Str, "The kind of file system."),
        ArgSpec::new("opts", ArgKind::Str, "Options."),
        ArgSpec::new("opts_no_log", ArgKind::Bool, "The options are secret.").default("no"),
        ArgSpec::new("dump", ArgKind::Str, "Whether dump saves it.").default("0"),
        ArgSpec::new("passno", ArgKind::Str, "When fsck checks it.").default("0"),
        ArgSpec::new("boot", ArgKind::Bool, "Mount it when the host starts.").default("yes"),
        ArgSpec::new("fstab", ArgKind::Str, "The file to write to instead of /etc/fstab."),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
    ],
    rules: &[
        Rule::If { arg: "state", value: "mounted", needs: &["src", "fstype"] },
        Rule::If { arg: "state", value: "present", needs: &["src", "fstype"] },
        Rule::If { arg: "state", value: "ephemeral", needs: &["src", "fstype"] },
    ],
    returns: &[
        ("name", "where it is mounted"),
        ("src", "what is mounted"),
        ("fstype", "the kind of file system"),
        ("opts", "its options"),
        ("dump", "whether dump saves it"),
        ("passno", "when fsck checks it"),
        ("fstab", "the file"),
        ("boot", "yes or no"),
        ("backup_file", "the name of the backup"),
    ],
    ..ModuleSpec::BASE
};

pub struct Mount;

impl Module for Mount {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let wanted = Wanted::of(call)?;
        Ok(Some(format!(
            "if [ -e {0} ]; then printf 'there yes\\n'; fi\nsed 's/^/mount /' /proc/self/mountinfo 2>/dev/null\n{1}",
            q(&wanted.name),
            edit::lines(&wanted.fstab, &Attrs::default())
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let wanted = Wanted::of(call)?;
        let mut found = edit::found_at(call, Report::of(seen)?, &wanted.fstab, &wanted.fstab)?;
        if let Some(unknown) = call.world.thing(&Thing { kind: "mount", name: wanted.name.clone() }) {
            return Err(Failure::unknown(unknown));
        }
        let mounted: Option<String> = found.report.all("mount").filter_map(source_at(&wanted.name)).last();
        let text = found.text();
        let state = args.str("state").unwrap_or_default();
        let after = match state {
            "mounted" | "present" => Some(wanted.set(&text.text)),
            "absent" | "absent_from_fstab" => Some(wanted.unset(&text.text)),
            _ => None,
        };
        let changes_file = after.as_ref().is_some_and(|a| *a != text.text);
        let steps = wanted.steps(state, mounted.as_deref(), changes_file)?;
        let result = wanted.result(args);
        let mut prediction = match after {
            Some(after) if changes_file => {
                found.shown.clone_from(&wanted.fstab);
                let mut prediction = found.replace(call, text.bytes(&after), result)?;
                prediction.result.remove("msg");
                prediction.result.insert("backup_file", "");
                if args.flag("opts_no_log") {
                    hide(&mut prediction, args.str("opts").unwrap_or_default());
                }
                then(&mut prediction, &steps);
                if state == "mounted" {
                    keep_old(&mut prediction, &wanted.fstab);
                }
                prediction
            }
            _ if steps.is_empty() => {
                let mut prediction = Prediction::same(result);
                prediction.result.insert("backup_file", "");
                prediction
            }
            _ => {
                let mut prediction = Prediction::change(result, Vec::new());
                prediction.change = Some(Change { actions: vec![Action::run(steps.clone())] });
                prediction.result.insert("backup_file", "");
                prediction
            }
        };
        if !steps.is_empty() {
            let now = mounted.is_some();
            let later = !matches!(state, "unmounted" | "absent");
            if now != later {
                let side = |mounted: bool| Map::from_iter([("mounted", mounted)]);
                prediction.diff.push(attr_diff(&wanted.name, side(now), side(later)));
            }
            prediction.touches.push(Touch::Thing(Thing { kind: "mount", name: wanted.name.clone() }));
            prediction.touches.push(Touch::Tree { path: wanted.name.clone() });
        }
        if args.bool("boot") != Some(false) && wanted.opts.split(',').any(|o| o == "noauto") {
            prediction.warnings.push("Ignore the 'boot' due to 'opts' contains 'noauto'.".to_string());
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", false)
    }
}

/// Puts a placeholder into what is shown of secret options.
fn hide(prediction: &mut Prediction, opts: &str) {
    if opts.is_empty() {
        return;
    }
    for diff in &mut prediction.diff {
        for side in [&mut diff.before, &mut diff.after] {
            if let DiffSide::Text(text) = side {
                *text = text.replace(&escape(opts), HIDDEN);
            }
        }
    }
}

/// Remembers the file in front of its replacement, so that a failing mount can put it back.
fn keep_old(prediction: &mut Prediction, fstab: &str) {
    if let Some(Action::Run(run)) = prediction.change.as_mut().and_then(|c| c.actions.first_mut()) {
        let keep = format!("xp_old=$(cat -- {} 2>/dev/null; printf x)\n", q(fstab));
        run.script.insert_str(0, &keep);
    }
}

/// Returns a function that gives a line of mountinfo's source when it is about a path.
fn source_at(path: &str) -> impl Fn(&str) -> Option<String> {
    let path = path.trim_end_matches('/').to_string();
    move |line| {
        let (mount, system) = line.split_once(" - ")?;
        let place = unescape(mount.split(' ').nth(4)?);
        let root = unescape(mount.split(' ').nth(3)?);
        let source = unescape(system.split(' ').nth(1)?);
        (place.trim_end_matches('/') == path).then(|| if root == "/" { source } else { root })
    }
}

/// Reads octal escapes such as `\040`.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|d| u8::from_str_radix(d, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

/// Writes what a field of fstab cannot hold as octal escapes.
fn escape(text: &str) -> String {
    text.replace('\\', "\\134").replace(' ', "\\040").replace('&', "\\046")
}

struct Wanted {
    name: String,
    src: Option<String>,
    fstype: String,
    opts: String,
    dump: String,
    passno: String,
    boot: &'static str,
    fstab: String,
}

impl Wanted {
    fn of(call: &Call) -> Result<Wanted, Failure> {
        let args = &call.args;
        let text = |name: &str, default: &str| args.str(name).unwrap_or(default).to_string();
        let mut opts = text("opts", "defaults");
        let mut boot = "yes";
        if args.bool("boot") == Some(false) && !opts.split(',').any(|o| o == "noauto") {
            boot = "no";
            opts += ",noauto";
        }
        // Labels, UUIDs and remote shares are no paths; they stay as written.
        let src = match args.str("src") {
            Some(src) if src.starts_with(['/', '~', '$']) => Some(expand_path(call, src)?),
            other => other.map(str::to_string),
        };
        let name = args.str("path").unwrap_or_default();
        Ok(Wanted {
            name: if name.starts_with(['/', '~', '$']) { expand_path(call, name)? } else { name.to_string() },
            src,
            fstype: text("fstype", ""),
            opts,
            dump: text("dump", "0"),
            passno: text("passno", "0"),
            boot,
            fstab: expand_path(call, args.str("fstab").unwrap_or("/etc/fstab"))?,
        })
    }

    fn result(&self, args: &Args) -> Map {
        let mut result = Map::new();
        result.insert("name", self.name.as_str());
        let opts = if args.flag("opts_no_log") && args.has("opts") { HIDDEN } else { &self.opts };
        result.insert("opts", opts);
        for (key, value) in [("dump", &self.dump), ("passno", &self.passno), ("fstab", &self.fstab)] {
            result.insert(key, value.as_str());
        }
        result.insert("boot", self.boot);
        if let Some(src) = &self.src {
            result.insert("src", src.as_str());
        }
        if args.has("fstype") {
            result.insert("fstype", self.fstype.as_str());
        }
        result.insert("backup_file", Value::str(""));
        result
    }

    fn fields(&self) -> [String; 6] {
        let src = self.src.as_deref().unwrap_or_default();
        [src, &self.name, &self.fstype, &self.opts, &self.dump, &self.passno].map(escape)
    }

    /// Whether a line's fields are about this mount; swap has no place of its own and is known by its source.
    fn is_mine(&self, fields: &[&str]) -> bool {
        fields[1] == escape(&self.name)
            && !(fields[1] == "none"
                && fields[2] == "swap"
                && self.src.as_ref().is_some_and(|src| fields[0] != src))
    }

    /// Returns fstab with the mount in it.
    fn set(&self, text: &str) -> String {
        let wanted = self.fields();
        let mut there = false;
        let mut out = String::new();
        for line in lines(text) {
            let plain = line.split('#').next().unwrap_or_default();
            let mut fields: Vec<&str> = plain.split_whitespace().collect();
            if (4..=6).contains(&fields.len()) && self.is_mine(&fields) {
                there = true;
                fields.resize(6, "0");
                if !fields.iter().eq(wanted.iter()) {
                    add!(out, "{}\n", wanted.join(" "));
                    continue;
                }
            }
            out += &line;
            if !line.ends_with('\n') {
                out.push('\n');
            }
        }
        if !there {
            add!(out, "{}\n", wanted.join(" "));
            return out;
        }
        // A missing newline at the end alone is no reason to write.
        if out.strip_suffix('\n') == Some(text) { text.to_string() } else { out }
    }

    /// Returns fstab without the mount.
    fn unset(&self, text: &str) -> String {
        let mine = |line: &String| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            !line.trim_start().starts_with('#') && (4..=6).contains(&fields.len()) && self.is_mine(&fields)
        };
        lines(text).into_iter().filter(|line| !mine(line)).collect()
    }

    /// Returns the lines that mount or unmount.
    fn steps(&self, state: &str, mounted: Option<&str>, changes_file: bool) -> Result<String, Failure> {
        let name = q(&self.name);
        let table =
            if self.fstab == "/etc/fstab" { String::new() } else { format!(" -T {}", q(&self.fstab)) };
        let run = |command: String, what: &str| {
            format!(
                "xp_e=$(LC_ALL=C {command} 2>&1 </dev/null) || xp_fail \"Error {what} \"{name}\": $xp_e\"\n"
            )
        };
        let umount = run(format!("umount {name}"), "unmounting");
        let direct = {
            let opts = if self.opts == "defaults" { String::new() } else { format!(" -o {}", q(&self.opts)) };
            let src = q(self.src.as_deref().unwrap_or_default());
            format!(" -t {}{opts} {src}", q(&self.fstype))
        };
        let remount = |opts: &str, how: &str| {
            format!(
                "if ! xp_e=$(LC_ALL=C mount -o {}{how} {name} 2>&1 </dev/null); then\n",
                q(&format!("remount{opts}"))
            )
        };
        Ok(match (state, mounted) {
            ("absent", Some(_)) if changes_file => format!("{umount}{}", self.remove_folder()),
            ("absent", None) if changes_file => self.remove_folder(),
            ("unmounted", Some(_)) => umount,
            ("mounted", Some(_)) if changes_file => {
                format!(
                    "{}{umount}{}fi\n",
                    remount("", &table),
                    self.mount_or_undo(&format!("mount{table} {name}"))
                )
            }
            ("mounted", None) => {
                let mount = self.mount_or_undo(&format!("mount{table} {name}"));
                format!("{}{mount}", self.make_folder())
            }
            ("ephemeral", Some(now)) if Some(now) == self.src.as_deref() => {
                format!(
                    "{}{umount}{}fi\n",
                    remount("", &direct),
                    run(format!("mount{direct} {name}"), "mounting")
                )
            }
            ("ephemeral", Some(_)) => {
                return Err(Failure::new(
                    "Ephemeral mount point is already mounted with a different source than the specified one. \
                     Use \"state: unmounted\" first, or another path",
                ));
            }
            ("ephemeral", None) => {
                format!("{}{}", self.make_folder(), self.mount_or_undo(&format!("mount{direct} {name}")))
            }
            ("remounted", _) if self.opts == "defaults" => {
                format!(
                    "{}{umount}{}fi\n",
                    remount("", &table),
                    run(format!("mount{table} {name}"), "remounting")
                )
            }
            ("remounted", _) => format!(
                "{}xp_fail \"Options were specified with remounted, but the remount command failed: $xp_e\"\nfi\n",
                remount(&format!(",{}", self.opts), &table)
            ),
            _ => String::new(),
        })
    }

    /// Makes the folder, and notes the topmost one that was made.
    fn make_folder(&self) -> String {
        format!(
            "xp_made=\nif [ ! -e {0} ]; then\nxp_d={0}\n\
             while [ -n \"$xp_d\" ] && [ ! -e \"$xp_d\" ]; do xp_made=$xp_d; xp_d=${{xp_d%/*}}; done\n\
             xp_do \"make the directory \"{0} mkdir -p -- {0}\nfi\n",
            q(&self.name)
        )
    }

    fn remove_folder(&self) -> String {
        let name = q(&self.name);
        format!("if [ -e {name} ]; then xp_do \"remove the directory \"{name} rmdir -- {name}; fi\n")
    }

    /// Mounts; when that fails, fstab and the folders are put back as they were.
    fn mount_or_undo(&self, command: &str) -> String {
        let (name, fstab) = (q(&self.name), q(&self.fstab));
        format!(
            "if ! xp_e=$(LC_ALL=C {command} 2>&1 </dev/null); then\n\
             if [ -n \"${{xp_old+x}}\" ]; then printf '%s' \"${{xp_old%x}}\" | xp_write -m \"$(stat -c %a {fstab})\" {fstab} >/dev/null; fi\n\
             if [ -n \"${{xp_made-}}\" ]; then xp_d={name}; while rmdir -- \"$xp_d\" 2>/dev/null && [ \"$xp_d\" != \"$xp_made\" ]; do xp_d=${{xp_d%/*}}; done; fi\n\
             xp_fail \"Error mounting \"{name}\": $xp_e\"\nfi\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args, scripts, stdin};

    const NONE: &str = "";
    const DATA: &str = "mount 30 1 8:17 / /mnt/a\\040b rw shared:1 - ext4 /dev/sdb1 rw\n";

    /// Checks fstab afterwards and the commands.
    fn check(given: &[(&str, &str)], mounts: &str, before: &str, after: &str, commands: &[&str]) {
        let mut given = given.to_vec();
        given.push(("path", "/mnt/a b"));
        let case = Case::new(&Mount, args(&given));
        let size = before.len();
        let seen = format!(
            "{mounts}umask 0022\nlstat 81a4 0 0 {size} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{before}"
        );
        let prediction = case.plan(seen).unwrap();
        assert_eq!(stdin(&prediction).unwrap_or_else(|| before.to_string()), after, "{given:?}");
        let script = scripts(&prediction).concat();
        let found: Vec<&str> =
            script.split("LC_ALL=C ").skip(1).filter_map(|part| part.split(" 2>&1").next()).collect();
        assert_eq!(found, commands, "{given:?}");
    }

    const LINE: &str = "/dev/sdb1 /mnt/a\\040b ext4 defaults 0 0\n";

    fn with(state: &'static str) -> Vec<(&'static str, &'static str)> {
        vec![("src", "/dev/sdb1"), ("fstype", "ext4"), ("state", state)]
    }

    #[test]
    fn fstab() {
        check(&with("present"), NONE, "# x\n", &format!("# x\n{LINE}"), &[]);
        check(&with("present"), NONE, LINE, LINE, &[]);
        check(
            &with("present"),
            NONE,
            "/dev/sdb1 /mnt/a\\040b ext4 defaults\n",
            "/dev/sdb1 /mnt/a\\040b ext4 defaults\n",
            &[],
        );
        check(
            &with("present"),
            NONE,
            "LABEL=x /mnt/a\\040b xfs ro 1 2\n/dev/z /z ext4 a",
            &format!("{LINE}/dev/z /z ext4 a\n"),
            &[],
        );
        let mut noauto = with("present");
        noauto.extend([("boot", "no"), ("opts", "ro")]);
        check(&noauto, NONE, "", "/dev/sdb1 /mnt/a\\040b ext4 ro,noauto 0 0\n", &[]);
        check(&[("state", "absent_from_fstab")], DATA, LINE, "", &[]);
    }

    #[test]
    fn mounts() {
        check(&with("mounted"), DATA, LINE, LINE, &[]);
        check(&with("mounted"), NONE, LINE, LINE, &["mount '/mnt/a b'"]);
        check(
            &with("mounted"),
            DATA,
            "",
            LINE,
            &["mount -o 'remount' '/mnt/a b'", "umount '/mnt/a b'", "mount '/mnt/a b'"],
        );
        let mut other = with("mounted");
        other.push(("fstab", "/tmp/fstab"));
        check(&other, NONE, LINE, LINE, &["mount -T '/tmp/fstab' '/mnt/a b'"]);
        check(&with("ephemeral"), NONE, "", "", &["mount -t 'ext4' '/dev/sdb1' '/mnt/a b'"]);
        check(&[("state", "unmounted")], DATA, LINE, LINE, &["umount '/mnt/a b'"]);
        check(&[("state", "unmounted")], NONE, LINE, LINE, &[]);
        check(&[("state", "absent")], DATA, LINE, "", &["umount '/mnt/a b'"]);
        check(&[("state", "absent")], NONE, "", "", &[]);
        check(
            &[("state", "remounted"), ("opts", "ro")],
            DATA,
            LINE,
            LINE,
            &["mount -o 'remount,ro' '/mnt/a b'"],
        );
    }

    #[test]
    fn secret_options_and_refusals() {
        let mut given = with("present");
        given.extend([("path", "/m"), ("opts", "password=x"), ("opts_no_log", "yes")]);
        let prediction = Case::new(&Mount, args(&given)).plan_absent().unwrap();
        assert!(!format!("{:?} {:?}", prediction.diff, prediction.result).contains("password=x"));
        let mut given = with("ephemeral");
        given.push(("path", "/mnt/a b"));
        given[0].1 = "/dev/other";
        let failure =
            Case::new(&Mount, args(&given)).plan(format!("{DATA}umask 0022\nlstat absent\n")).unwrap_err();
        assert!(failure.msg.starts_with("Ephemeral mount point is already mounted with a different source"));
        let failure = Case::new(&Mount, args(&[("path", "/m"), ("state", "present")])).probe().unwrap_err();
        assert_eq!(failure.msg, "state is present but all of the following are missing: src, fstype");
    }
}
