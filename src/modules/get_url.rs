//! `get_url`: a file from the net, by curl or wget on the target.

use super::attrs::{AttrChange, Attrs, describe};
use super::http::{self, Answer, Body, Request, file_name, read_url};
use super::local::Digests;
use super::sh::{Look, Report, expand_path, q};
use super::write::{self, Before, Write, attr_diff, change_of_new, content_diff};
use super::{
    Action, ArgKind, ArgSpec, Call, DiffSide, Failure, FileAfter, Module, ModuleSpec, Outcome, Prediction,
    Seen, Touch, world,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "get_url",
    about: "Gets a file from the net.",
    args: &[
        ArgSpec::new("url", ArgKind::Str, "Where it comes from.").required(),
        ArgSpec::new("dest", ArgKind::Path, "The file, or a folder that keeps its name.").required(),
        ArgSpec::new("backup", ArgKind::Bool, "Keep the old file under another name.").default("no"),
        ArgSpec::new("checksum", ArgKind::Str, "ALGORITHM:DIGEST, or ALGORITHM:URL of a list of digests.")
            .default(""),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds to wait for an answer.").default("10"),
        ArgSpec::new("headers", ArgKind::Dict, "Headers of the request."),
        ArgSpec::new("tmp_dest", ArgKind::Path, "The folder for the temporary file."),
        ArgSpec::new("url_username", ArgKind::Str, "Who asks.").aliases(&["username"]),
        ArgSpec::new("url_password", ArgKind::Str, "The password for it.").aliases(&["password"]),
    ],
    shared: &http::SHARED,
    returns: &[
        ("dest", "the file"),
        ("url", "where it came from"),
        ("status_code", "the status of the answer"),
        ("msg", "the words of the answer"),
        ("checksum_src", "the sha1 of what came"),
        ("checksum_dest", "the sha1 of the file before"),
        ("md5sum", "the md5 of the file"),
        ("elapsed", "seconds that it took"),
        ("src", "the temporary file"),
        ("backup_file", "the name of the backup"),
    ],
    ..ModuleSpec::BASE
};

pub struct GetUrl;

impl Module for GetUrl {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let dest = q(&expand_path(call, args.str("dest").unwrap_or_default())?);
        let attrs = Attrs::of(args)?;
        let mut script = format!(
            "xp_p={dest}\nif [ -d \"$xp_p\" ]; then printf 'dir yes\\n'; xp_p=${{xp_p%/}}/{}; fi\nxp_tell path \"$xp_p\"\n\
             if [ -d \"${{xp_p%/*}}/\" ]; then printf 'parent yes\\n'; fi\nxp_look \"$xp_p\"\n{}\
             if [ -f \"$xp_p\" ]; then printf 'sha1 %s\\n' \"$(xp_sha1 \"$xp_p\")\"; fi\n",
            q(&file_name(args.str("url").unwrap_or_default())),
            attrs.probe("\"$xp_p\"")
        );
        if let Some((algorithm, digest)) = checksum(call)? {
            add!(
                script,
                "if [ -f \"$xp_p\" ]; then printf 'digest %s\\n' \"$(xp_digest {algorithm} \"$xp_p\")\"; fi\n"
            );
            if is_url(digest) {
                let read = read_url(digest, args.bool("validate_certs") != Some(false));
                add!(
                    script,
                    "xp_s=$({read}) || xp_fail \"cannot read \"{}\nxp_tell sums \"$xp_s\"\n",
                    q(digest)
                );
            }
        }
        if call.check {
            let digest = request(call).digest(call)?;
            let since = if args.flag("force") { String::new() } else { since("\"$xp_p\"") };
            add!(script, "if [ -f \"$xp_p\" ]; then\n{since}{digest}fi\n");
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let path = report.word("path").ok_or_else(|| Failure::new("the probe did not tell the path"))?;
        let url = args.str("url").unwrap_or_default();
        let in_folder = report.get("dir").is_some();
        let mut look = Look::of(&report)?;
        let mut sha1 = report.get("sha1").map(str::to_string);
        let mut digest = report.get("digest").map(str::to_string);
        if let Some(after) = call.foreseen_file(&path)? {
            look = after.look(&look);
            if !matches!(after, FileAfter::File { body: world::Body::AsFound, .. }) {
                (sha1, digest) = (None, None);
            }
        }
        let wanted = wanted_digest(call, &report)?;
        let mut result = Map::new();
        result.insert("url", url);
        result.insert("dest", path.as_str());
        let attrs = Attrs::of(args)?;
        let old = look.file.as_ref();
        let change = match old {
            Some(stat) => attrs.compare(&report, stat, look.umask, call.check)?,
            None => change_of_new(&attrs, &report, call.check)?,
        };
        let folder = path.rsplit_once('/').map_or(".", |(dir, _)| if dir.is_empty() { "/" } else { dir });
        if report.get("parent").is_none() && !call.world.makes_folder(folder) {
            return Err(Failure::new(format!("Destination {folder} does not exist")));
        }
        let matches = wanted.as_ref().is_some_and(|w| Some(w) == digest.as_ref());
        if old.is_some() && !in_folder && matches && !args.flag("force") {
            result.insert("msg", "file already exists");
            return Ok(attributes_only(&path, old, &attrs, &change, result));
        }
        let same = report.get("code") == Some("304")
            || report.get("incoming").is_some_and(|incoming| Some(incoming) == sha1.as_deref());
        if call.check && old.is_some() && same {
            result.insert("checksum_src", sha1.as_deref());
            result.insert("checksum_dest", sha1.as_deref());
            return Ok(attributes_only(&path, old, &attrs, &change, result));
        }
        result.insert("checksum_dest", sha1.as_deref());
        let empty = Digests::of(b"");
        let write = Write {
            dest: &path,
            content: write::bytes(b""),
            digests: &empty,
            old,
            before: Before::Anything,
            umask: look.umask,
            attrs: &attrs,
            change: &change,
            backup: args.flag("backup") && old.is_some(),
            validate: None,
            unsafe_writes: args.flag("unsafe_writes"),
        };
        let script = script(call, &path, in_folder, &write.options()?, &change, wanted.as_deref())?;
        let stat = write.predicted(call.target);
        let unknown = |text: &str| DiffSide::Text(format!("{text}\n"));
        let before = match &sha1 {
            Some(sha1) => unknown(&format!("(sha1 {sha1})")),
            None => DiffSide::Absent,
        };
        let after = FileAfter::File { stat, body: world::Body::Unknown };
        let mut prediction = Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::File { path: path.clone(), after })
            .diff(content_diff(&path, before, unknown(&format!("(content of {url})"))));
        if call.check {
            for (key, _) in SPEC.returns.iter().filter(|(key, _)| *key != "backup_file") {
                if !prediction.result.contains(key) {
                    prediction.result.insert(*key, Value::unknown(format!("what {url} gives")));
                }
            }
        }
        prediction.warnings.extend(change.warnings.clone());
        Ok(prediction)
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(output) = ran.last() else { return Ok(prediction.into_outcome()) };
        let url = call.args.str("url").unwrap_or_default();
        let elapsed = output.elapsed.as_secs();
        if output.rc != 0 {
            return Err(Failure::from_output(output).with("url", url).with("elapsed", elapsed));
        }
        let report = Report::parse(&output.stdout);
        if report.get("answered").is_none() {
            // Only attributes were changed.
            return write::finish(prediction, ran, "backup_file", true);
        }
        let dest = report.word("dest").unwrap_or_default();
        let head = String::from_utf8_lossy(report.content.as_deref().unwrap_or_default()).into_owned();
        let answer = Answer::parse(&head);
        let told =
            |failure: Failure| failure.with("url", url).with("dest", dest.as_str()).with("elapsed", elapsed);
        if let Some(trouble) = report.word("trouble") {
            return Err(told(
                Failure::new(format!("Request failed: {}", trouble.trim())).with("status_code", -1),
            ));
        }
        let plain = answer.status == 0 && (url.starts_with("file:/") || url.starts_with("ftp:/"));
        if !plain && !matches!(answer.status, 200 | 304) {
            return Err(told(
                Failure::new("Request failed")
                    .with("status_code", answer.status)
                    .with("response", answer.message()),
            ));
        }
        let mut outcome = prediction.into_outcome();
        let result = &mut outcome.result;
        result.insert("elapsed", elapsed);
        result.insert("dest", dest);
        result.insert("status_code", if plain { Value::Null } else { answer.status.into() });
        result.insert("msg", answer.message());
        if answer.status == 304 {
            if report.get("stat").is_some()
                && let Some(stat) = report.stat("stat")?
            {
                describe(result, &stat);
            }
            outcome.changed = false;
            outcome.diff.clear();
            return Ok(outcome);
        }
        result.insert("src", report.word("src").unwrap_or_default());
        result.insert("checksum_src", report.get("new"));
        result.insert("checksum_dest", report.get("old"));
        result.insert("md5sum", report.get("md5"));
        if let Some(backup) = report.word("backup") {
            result.insert("backup_file", backup);
        }
        if let Some(stat) = report.stat("stat")? {
            describe(result, &stat);
        }
        outcome.changed = report.get("written").is_some() || report.get("attributes").is_some();
        if !outcome.changed {
            outcome.diff.clear();
        }
        Ok(outcome)
    }
}

/// Predicts for a file whose content is as wanted.
fn attributes_only(
    path: &str,
    old: Option<&super::sh::Stat>,
    attrs: &Attrs,
    change: &AttrChange,
    mut result: Map,
) -> Prediction {
    let Some(old) = old else { return Prediction::same(result) };
    describe(&mut result, &change.applied(old, attrs));
    if change.is_empty() {
        return Prediction::same(result);
    }
    result.insert("msg", "file already exists but file attributes changed");
    let (before, after) = change.sides();
    let after_stat = change.applied(old, attrs);
    let mut prediction = Prediction::change(result, vec![Action::run(change.script(&q(path)))])
        .diff(attr_diff(path, before.clone(), after.clone()))
        .touch(Touch::File {
            path: path.to_string(),
            after: FileAfter::File { stat: after_stat, body: world::Body::AsFound },
        });
    prediction.warnings.clone_from(&change.warnings);
    prediction
}

fn request(call: &Call) -> Request {
    let args = &call.args;
    let headers = match args.get("headers") {
        Some(Value::Map(map)) => map.iter().map(|(k, v)| (k.to_value().to_text(), v.to_text())).collect(),
        _ => Vec::new(),
    };
    Request {
        url: args.str("url").unwrap_or_default().to_string(),
        method: "GET".to_string(),
        headers,
        timeout_secs: args.int("timeout").unwrap_or(10),
        follows: true,
        body: Body::None,
    }
}

/// Returns the line that sets the time of the file that is there, so that only something newer comes.
fn since(path: &str) -> String {
    format!("xp_since=$(LC_ALL=C date -u -r {path} '+%a, %d %b %Y %H:%M:%S GMT' 2>/dev/null)\n")
}

/// Returns the lines that get the file and put it in its place.
fn script(
    call: &Call,
    path: &str,
    in_folder: bool,
    options: &str,
    change: &AttrChange,
    wanted: Option<&str>,
) -> Result<String, Failure> {
    let parent = match call.args.str("tmp_dest") {
        Some(dir) => {
            let dir = q(&expand_path(call, dir)?);
            format!("[ -d {dir} ] || xp_fail {dir}\" directory does not exist.\"\n{}", http::folder(&dir))
        }
        None => http::folder("\"${TMPDIR:-/tmp}\""),
    };
    let mut script = format!("{parent}xp_p={}\n", q(path));
    // A digest that differs forces a download, whatever the times say.
    if !in_folder && wanted.is_none() && !call.args.flag("force") {
        add!(script, "if [ -f \"$xp_p\" ]; then\n{}fi\n", since("\"$xp_p\""));
    }
    script += &request(call).function(call)?;
    script += "xp_end() { xp_tell dest \"$xp_p\"; printf 'answered yes\\ncontent\\n'; cat -- \"$xp_d/head\" 2>/dev/null; exit 0; }\n\
               xp_http\nxp_status=$(sed -n 's/^HTTP\\/[^ ]* \\([0-9]*\\).*/\\1/p' \"$xp_d/head\" 2>/dev/null | tail -n 1)\n\
               if [ \"$xp_status\" = 304 ]; then printf 'stat '; xp_stat \"$xp_p\"; fi\n\
               case $xp_status in 3* | 4* | 5*) xp_end ;; esac\n\
               if [ \"$xp_code\" != 0 ]; then xp_tell trouble \"$(cat -- \"$xp_d/err\")\"; xp_end; fi\n\
               [ -e \"$xp_d/out\" ] || : >\"$xp_d/out\"\n";
    if in_folder {
        script += "xp_f=$(sed -n 's/^[Cc]ontent-[Dd]isposition:.*filename=\"\\{0,1\\}\\([^\";]*\\).*/\\1/p' \"$xp_d/head\" | tail -n 1 | tr -d '\\r')\n\
                   xp_f=${xp_f##*/}\n[ -z \"$xp_f\" ] || xp_p=${xp_p%/*}/$xp_f\n";
    }
    if let (Some(wanted), Some((algorithm, _))) = (wanted, checksum(call)?) {
        add!(
            script,
            "xp_s=$(xp_digest {algorithm} \"$xp_d/out\") || exit 1\n\
             [ \"$xp_s\" = {wanted} ] || xp_fail \"The checksum for $xp_d/out did not match {wanted}; it was $xp_s.\"\n"
        );
    }
    add!(
        script,
        "xp_new=$(xp_sha1 \"$xp_d/out\") || exit 1\nxp_old=\n[ ! -f \"$xp_p\" ] || xp_old=$(xp_sha1 \"$xp_p\")\n\
         printf 'new %s\\n' \"$xp_new\"\n[ -z \"$xp_old\" ] || printf 'old %s\\n' \"$xp_old\"\nxp_tell src \"$xp_d/out\"\n\
         if [ \"$xp_new\" != \"$xp_old\" ]; then\nxp_write{options} \"$xp_p\" <\"$xp_d/out\" || exit $?\nprintf 'written yes\\n'\nelse\n{}\
         printf 'stat '\nxp_stat \"$xp_p\"\nfi\nprintf 'md5 %s\\n' \"$(xp_md5 \"$xp_p\" 2>/dev/null)\"\nxp_end\n",
        if change.is_empty() {
            String::new()
        } else {
            format!("{}printf 'attributes yes\\n'\n", change.script("\"$xp_p\""))
        }
    );
    Ok(script)
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "ftp://", "file://"].iter().any(|s| text.starts_with(s))
}

/// Returns the algorithm and what stands behind it.
fn checksum<'a>(call: &'a Call) -> Result<Option<(&'a str, &'a str)>, Failure> {
    let Some(text) = call.args.str("checksum").filter(|c| !c.is_empty()) else { return Ok(None) };
    let (algorithm, digest) = text
        .split_once(':')
        .ok_or_else(|| Failure::new("The checksum parameter has to be in format <algorithm>:<checksum>"))?;
    if !matches!(algorithm, "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512") {
        return Err(Failure::new(format!(
            "Could not hash file with algorithm '{algorithm}'. Available algorithms: md5, sha1, sha224, sha256, sha384, sha512"
        )));
    }
    Ok(Some((algorithm, digest)))
}

/// Returns the digest that the file must have.
fn wanted_digest(call: &Call, report: &Report) -> Result<Option<String>, Failure> {
    let Some((_, digest)) = checksum(call)? else { return Ok(None) };
    let digest = if is_url(digest) {
        let name = file_name(call.args.str("url").unwrap_or_default());
        digest_for(&report.word("sums").unwrap_or_default(), &name).ok_or_else(|| {
            Failure::new(format!("Unable to find a checksum for file '{name}' in '{digest}'"))
        })?
    } else {
        digest.to_string()
    };
    let plain: String =
        digest.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect::<String>().to_lowercase();
    if plain.is_empty() || !plain.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Failure::new("The checksum format is invalid"));
    }
    Ok(Some(plain))
}

/// Finds a file's digest in a list: of GNU's tools, of BSD's, or a digest alone.
fn digest_for(list: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = list.lines().collect();
    if let [only] = lines[..]
        && only.split_whitespace().count() == 1
    {
        return Some(only.trim().to_string());
    }
    lines.iter().find_map(|line| {
        if let Some((head, digest)) = line.split_once(") = ").or_else(|| line.split_once(")= ")) {
            let (_, file) = head.split_once('(')?;
            return (file == name).then(|| digest.trim().to_string());
        }
        let (digest, file) = line.split_once(' ')?;
        let file = file.strip_prefix([' ', '*'])?;
        (file.trim_start_matches(['.', '/']) == name).then(|| digest.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const OLD: &str = "path =/srv/f\nparent yes\numask 0022\nlstat 81a4 0 0 3 1 1 1 9 1 1 0 0 8 4096 :root:root:\nsha1 aa\n";

    fn case(given: &[(&str, &str)], check: bool) -> Case {
        let mut given = given.to_vec();
        given.extend([("url", "http://x.org/a/f"), ("dest", "/srv/f")]);
        let mut case = Case::new(&GetUrl, args(&given));
        case.check = check;
        case
    }

    #[test]
    fn new_files_come() {
        let prediction = case(&[("mode", "0600")], false)
            .plan("path =/srv/f\nparent yes\numask 0022\nlstat absent\n")
            .unwrap();
        assert_eq!(prediction.effect, Effect::Change);
        let script = scripts(&prediction).concat();
        assert!(script.contains("xp_write -m 0600 \"$xp_p\" <\"$xp_d/out\" || exit $?\n"), "{script}");
        assert!(script.contains("url = \"http://x.org/a/f\"\n"), "{script}");
    }

    #[test]
    fn digests_decide() {
        let effect = |given: &[(&str, &str)], seen: &str| case(given, false).plan(seen).unwrap().effect;
        let there = format!("{OLD}digest ab12\n");
        assert_eq!(effect(&[("checksum", "sha256:AB12")], &there), Effect::Same);
        assert_eq!(effect(&[("checksum", "sha256:ab13")], &there), Effect::Change);
        assert_eq!(effect(&[("checksum", "sha256:ab12"), ("force", "yes")], &there), Effect::Change);
        assert_eq!(effect(&[("checksum", "sha256:ab12"), ("mode", "0600")], &there), Effect::Change);
        let list =
            format!("{there}sums %{}\n", "616231322020662e746172 0a 61623132 20 2a 2e2f66".replace(' ', ""));
        assert_eq!(effect(&[("checksum", "sha256:http://x.org/sums")], &list), Effect::Same);
        assert_eq!(digest_for("SHA256 (f) = cd\n", "f").as_deref(), Some("cd"));
        assert_eq!(digest_for("cd\n", "f").as_deref(), Some("cd"));
        assert_eq!(digest_for("cd  g\nce  h\n", "f"), None);
    }

    #[test]
    fn previews_ask_the_server() {
        let effect = |seen: &str| case(&[], true).plan(format!("{OLD}{seen}")).unwrap().effect;
        assert_eq!(effect("code 304\nincoming da39\n"), Effect::Same);
        assert_eq!(effect("code 200\nincoming aa\n"), Effect::Same);
        assert_eq!(effect("code 200\nincoming bb\n"), Effect::Change);
    }

    #[test]
    fn failures() {
        let fails = |given: &[(&str, &str)], seen: &str, expect: &str| {
            assert_eq!(case(given, false).plan(seen).unwrap_err().msg, expect);
        };
        fails(&[], "path =/srv/f\numask 0022\nlstat absent\n", "Destination /srv does not exist");
        fails(
            &[("checksum", "abc")],
            OLD,
            "The checksum parameter has to be in format <algorithm>:<checksum>",
        );
        fails(&[("checksum", "sha1:xyz")], OLD, "The checksum format is invalid");
    }
}
