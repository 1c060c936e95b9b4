//! `deb822_repository`: sources of packages in files of fields, with their keys.

use super::fetch::{self, Certificates};
use super::files::{SHOW, Shown};
use super::set::new_repositories;
use crate::modules::attrs::Mode;
use crate::modules::sh::{PRIVATE_DIR, Report, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, DiffSide, Failure, Module, ModuleSpec, Prediction, Seen, Touch,
};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "deb822_repository",
    about: "Adds and removes sources of packages of Debian and Ubuntu, in the format of fields.",
    args: &[
        ArgSpec::new("allow_downgrade_to_insecure", ArgKind::Bool, "Use it though it is no longer signed."),
        ArgSpec::new("allow_insecure", ArgKind::Bool, "Use it unsigned."),
        ArgSpec::new("allow_weak", ArgKind::Bool, "Accept weak signatures."),
        ArgSpec::new("architectures", ArgKind::StrList, "Architectures to take from it."),
        ArgSpec::new("by_hash", ArgKind::Bool, "Fetch lists by their digests."),
        ArgSpec::new("check_date", ArgKind::Bool, "Take the machine's clock for right."),
        ArgSpec::new("check_valid_until", ArgKind::Bool, "Refuse outdated lists."),
        ArgSpec::new("components", ArgKind::StrList, "Parts of the distribution."),
        ArgSpec::new("date_max_future", ArgKind::Int, "How far in the future lists may be, in seconds."),
        ArgSpec::new("enabled", ArgKind::Bool, "Whether it is used."),
        ArgSpec::new("inrelease_path", ArgKind::Str, "Where its InRelease file is."),
        ArgSpec::new("languages", ArgKind::StrList, "Languages of descriptions."),
        ArgSpec::new("name", ArgKind::Str, "Its name; files are named after it.").required(),
        ArgSpec::new("pdiffs", ArgKind::Bool, "Update lists by differences."),
        ArgSpec::new("signed_by", ArgKind::Str, "The key: a URL, a file, a fingerprint or its text."),
        ArgSpec::new("suites", ArgKind::StrList, "Releases of the distribution."),
        ArgSpec::new("targets", ArgKind::StrList, "Kinds of files to fetch."),
        ArgSpec::new("trusted", ArgKind::Bool, "Trust it without signatures."),
        ArgSpec::new("types", ArgKind::StrList, "Binary or source packages.")
            .default("deb")
            .choices(&["deb", "deb-src"]),
        ArgSpec::new("uris", ArgKind::StrList, "Where it is."),
        ArgSpec::new("mode", ArgKind::Raw, "Permissions of the file.").default("0644"),
        ArgSpec::new("state", ArgKind::Str, "Whether it is there.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("install_python_debian", ArgKind::Bool, "Accepted; nothing is needed on the target."),
    ],
    returns: &[("repo", "the file's text"), ("dest", "the file"), ("key_filename", "the file of the key")],
    ..ModuleSpec::BASE
};

/// The arguments that become fields, in the order of the file.
const FIELDS: &[&str] = &[
    "allow_downgrade_to_insecure",
    "allow_insecure",
    "allow_weak",
    "architectures",
    "by_hash",
    "check_date",
    "check_valid_until",
    "components",
    "date_max_future",
    "enabled",
    "inrelease_path",
    "languages",
    "name",
    "pdiffs",
    "signed_by",
    "suites",
    "targets",
    "trusted",
    "types",
    "uris",
];

pub struct Deb822Repository;

impl Module for Deb822Repository {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let slug = slug(args.str("name").unwrap_or_default());
        let mut script = format!(
            "{SHOW}xp_parts=/etc/apt/sources.list.d/; xp_etc=/etc/apt/\n\
             eval \"$(apt-config shell xp_parts Dir::Etc::sourceparts/d xp_etc Dir::Etc/d 2>/dev/null)\"\n\
             xp_keys=${{xp_etc%/}}/keyrings; xp_slug={}\nprintf 'umask %s\\n' \"$(umask)\"\nprintf 'keys '; xp_stat -L \"$xp_keys\"\n\
             xp_show 0 \"${{xp_parts%/}}/$xp_slug.sources\"; xp_show 1 \"$xp_keys/$xp_slug.asc\"; xp_show 2 \"$xp_keys/$xp_slug.gpg\"\n",
            q(&slug)
        );
        if let Some(key) = args.str("signed_by").filter(|_| args.str("state") == Some("present")) {
            if key.contains("://") {
                add!(
                    script,
                    "{}( {} ) 2>\"$xp_dir/why\" || xp_fail \"Could not fetch signed_by key: $(cat \"$xp_dir/why\")\"\n\
                     if [ -s \"$xp_dir/key\" ]; then printf 'fetched %s\\n' \"$(xp_sha256 \"$xp_dir/key\")\"; if grep -q -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' \"$xp_dir/key\"; then printf 'armored yes\\n'; fi; fi\n",
                    PRIVATE_DIR,
                    fetch::script(key, "\"$xp_dir/key\"", Certificates::Checked)
                );
            } else if !key.contains('\n') {
                add!(script, "if [ -f {} ]; then printf 'keyfile yes\\n'; fi\n", q(key));
            }
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let shown = Shown::all(&report)?.into_iter().map(|shown| shown.foresee(call));
        let shown = shown.collect::<Result<Vec<_>, _>>()?;
        let [sources, armored, binary] = shown.as_slice() else {
            return Err(Failure::new("the probe did not tell the repository's files"));
        };
        let mut result = Map::from_iter([("repo", Value::Null), ("dest", Value::str(&*sources.path))]);
        if args.str("state") == Some("absent") {
            result.insert("key_filename", binary.path.as_str());
            return Ok(remove(&[sources, armored, binary], result));
        }
        let mut key = Key { value: args.str("signed_by").map(str::to_string), ..Key::default() };
        if let Some(sha256) = report.get("fetched") {
            key.fetch(args, &report, sha256, if report.get("armored").is_some() { armored } else { binary })?;
        } else if report.get("keyfile").is_some() {
            key.file.clone_from(&key.value);
        }
        let repo = text(args, key.value.as_deref());
        result.insert("repo", repo.as_str());
        result.insert("key_filename", key.file.clone());
        let umask = u32::from_str_radix(report.need("umask")?.trim(), 8).unwrap_or(0o22);
        let mode = sources.wanted_mode(Mode::of(args, "mode")?.as_ref(), umask);
        let mut actions = key.actions;
        let mut touches: Vec<Touch> = key.stored.map(|path| Touch::Tree { path }).into_iter().collect();
        let mut diffs = Vec::new();
        let stored = sources.touch(Some(&repo), mode, umask);
        if !sources.holds(&repo) {
            actions.push(sources.write(&repo, mode));
            touches.push(stored);
            diffs.push(sources.diff(Some(&repo)));
        } else if let (Some(mode), Some(stat)) = (mode, &sources.stat)
            && stat.mode != mode
        {
            touches.push(stored);
            actions.push(Action::run(format!(
                "xp_do \"set the mode of \"{0} chmod {mode:04o} {0}\n",
                q(&sources.path)
            )));
            diffs.push(attr_diff(
                &sources.path,
                Map::from_iter([("mode", stat.mode_text())]),
                Map::from_iter([("mode", format!("{mode:04o}"))]),
            ));
        }
        if actions.is_empty() {
            return Ok(Prediction::same(result));
        }
        let mut prediction = Prediction::change(result, actions).touch(new_repositories());
        prediction.diff = diffs;
        prediction.touches.extend(touches);
        Ok(prediction)
    }
}

fn remove(files: &[&Shown], result: Map) -> Prediction {
    let there: Vec<&&Shown> = files.iter().filter(|f| f.exists()).collect();
    if there.is_empty() {
        return Prediction::same(result);
    }
    let actions = there
        .iter()
        .map(|f| Action::run(format!("xp_do \"remove \"{0} rm -f -- {0}\n", q(&f.path))))
        .collect();
    let mut prediction = Prediction::change(result, actions);
    prediction.touches = there.iter().map(|f| f.touch(None, None, 0)).collect();
    prediction.diff = there
        .iter()
        .map(|f| {
            let mut diff = f.diff(None);
            if f.path.ends_with(".gpg") {
                diff.before =
                    DiffSide::Binary { size: f.stat.as_ref().map_or(0, |s| s.size), sha256: String::new() };
            }
            diff
        })
        .collect();
    prediction
}

/// What becomes of `signed_by`.
#[derive(Default)]
struct Key {
    value: Option<String>,
    file: Option<String>,
    actions: Vec<Action>,
    /// Where it is put.
    stored: Option<String>,
}

impl Key {
    /// Stores a key that was found behind a URL.
    fn fetch(&mut self, args: &Args, report: &Report, sha256: &str, dest: &Shown) -> Result<(), Failure> {
        let url = args.str("signed_by").unwrap_or_default();
        self.value = Some(dest.path.clone());
        self.file = Some(dest.path.clone());
        let dir = dest.path.rsplit_once('/').map_or("/", |(dir, _)| dir);
        if !report.stat("keys")?.is_some_and(|stat| stat.mode == 0o755 && stat.uid == 0 && stat.gid == 0) {
            self.actions.push(Action::run(format!(
                "xp_do 'make the folder of keys' mkdir -p {0}\nif [ \"$(id -u)\" = 0 ]; then xp_do 'give the folder of keys' chown 0:0 {0}; fi\nxp_do 'set the mode of the folder of keys' chmod 0755 {0}\n",
                q(dir)
            )));
        }
        if dest.has_sha256(sha256) && dest.stat.as_ref().is_some_and(|s| s.mode == 0o644) {
            return Ok(());
        }
        self.stored = Some(dest.path.clone());
        self.actions.push(Action::run(format!(
            "{}{}[ \"$(xp_sha256 \"$xp_dir/key\")\" = {sha256} ] || xp_fail 'the key behind the URL changed in the meantime; nothing was stored'\n\
             xp_write -d {sha256} -m 0644 {} <\"$xp_dir/key\"\n",
            PRIVATE_DIR,
            fetch::script(url, "\"$xp_dir/key\"", Certificates::Checked),
            q(&dest.path)
        )));
        Ok(())
    }
}

/// Makes a name for files: lower-case letters, digits and hyphens.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    let mut gap = false;
    for c in name.to_lowercase().chars() {
        if c == '_' || c.is_whitespace() {
            if !gap {
                slug.push('-');
            }
            gap = true;
            continue;
        }
        gap = false;
        if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' {
            slug.push(c);
        }
    }
    slug
}

fn text(args: &Args, key: Option<&str>) -> String {
    let mut out = String::new();
    for name in FIELDS {
        let value = match args.get(name) {
            None => continue,
            Some(_) if *name == "signed_by" => key.unwrap_or_default().to_string(),
            Some(Value::Bool(on)) => if *on { "yes" } else { "no" }.to_string(),
            Some(Value::List(items)) => items.iter().map(Value::to_text).collect::<Vec<_>>().join(" "),
            Some(other) => other.to_text(),
        };
        let value = if value.contains('\n') {
            let lines: Vec<String> = value
                .trim()
                .lines()
                .map(|l| format!("    {}", if l.trim().is_empty() { "." } else { l.trim() }))
                .collect();
            format!("\n{}", lines.join("\n"))
        } else {
            value
        };
        let blank = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
        add!(out, "{}:{blank}{value}\n", field(name));
    }
    out
}

fn field(name: &str) -> String {
    match name {
        "name" => "X-Repolib-Name".to_string(),
        "uris" => "URIs".to_string(),
        _ => name.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect::<Vec<_>>().join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const NONE: &str = "umask 0022\nkeys 41ed 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:\nfile 0 =/etc/apt/sources.list.d/my-repo.sources\nstat 0 absent\n\
        file 1 =/etc/apt/keyrings/my-repo.asc\nstat 1 absent\nfile 2 =/etc/apt/keyrings/my-repo.gpg\nstat 2 absent\n";

    #[test]
    fn writes_fields() {
        let given = [
            ("name", "My  Repo!"),
            ("uris", "http://a/debian"),
            ("suites", "stable,testing"),
            ("allow_downgrade_to_insecure", "yes"),
            ("signed_by", "-----BEGIN\n\nabc\n"),
            ("date_max_future", "10"),
        ];
        let prediction = Case::new(&Deb822Repository, args(&given)).plan(NONE).unwrap();
        assert_eq!(
            prediction.result.get("repo").unwrap().to_text(),
            "Allow-Downgrade-To-Insecure: yes\nDate-Max-Future: 10\nX-Repolib-Name: My  Repo!\nSigned-By:\n    -----BEGIN\n    .\n    abc\n\
             Suites: stable testing\nTypes: deb\nURIs: http://a/debian\n"
        );
        assert!(
            scripts(&prediction)[0]
                .ends_with("-b absent -m 0644 '/etc/apt/sources.list.d/my-repo.sources'\n")
        );
        assert_eq!(slug("My  Repo!"), "my-repo");
    }

    #[test]
    fn keys_behind_urls_are_stored() {
        let given = [("name", "my repo"), ("uris", "http://a"), ("signed_by", "https://a/key")];
        let prediction = Case::new(&Deb822Repository, args(&given))
            .plan(format!("{NONE}fetched 00ff\narmored yes\n"))
            .unwrap();
        assert_eq!(prediction.result.get("key_filename").unwrap().to_text(), "/etc/apt/keyrings/my-repo.asc");
        assert!(
            prediction
                .result
                .get("repo")
                .unwrap()
                .to_text()
                .contains("Signed-By: /etc/apt/keyrings/my-repo.asc\n")
        );
        assert!(scripts(&prediction)[0].contains("xp_write -d 00ff -m 0644 '/etc/apt/keyrings/my-repo.asc'"));
    }

    #[test]
    fn removes() {
        let case = Case::new(&Deb822Repository, args(&[("name", "my repo"), ("state", "absent")]));
        assert_eq!(case.plan(NONE).unwrap().effect, Effect::Same);
        let there = NONE.replace("stat 0 absent", "stat 0 81a4 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:");
        let scripts_of = case.plan(there).unwrap();
        assert_eq!(
            scripts(&scripts_of),
            [
                "xp_do \"remove \"'/etc/apt/sources.list.d/my-repo.sources' rm -f -- '/etc/apt/sources.list.d/my-repo.sources'\n"
            ]
        );
    }
}
