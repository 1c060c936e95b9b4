//! `archive`: packs files of the target into an archive there.

use super::attrs::{Attrs, FILE_ARGS};
use super::command::pattern;
use super::local::Digests;
use super::sh::{Look, Report, expand_path, q};
use super::tool::missing;
use super::write::{self, Before, Write, attr_diff, change_of_new};
use super::{
    Action, ArgKind, ArgSpec, Body, Call, Failure, FileAfter, Module, ModuleSpec, Outcome, Prediction, Run,
    Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Unknown, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "archive",
    namespaces: &["community.general"],
    about: "Packs files of the target into an archive there.",
    args: &[
        ArgSpec::new("path", ArgKind::StrList, "Files and folders; * and ? match many.").required(),
        ArgSpec::new("dest", ArgKind::Path, "The archive; for a single file its name with the format's end."),
        ArgSpec::new("format", ArgKind::Str, "How it is packed.")
            .default("gz")
            .choices(&["bz2", "gz", "tar", "xz", "zip", "zstd"]),
        ArgSpec::new("exclude_path", ArgKind::StrList, "Files and folders of path that are left out.")
            .default(""),
        ArgSpec::new("exclusion_patterns", ArgKind::StrList, "Patterns of what is left out of the archive."),
        ArgSpec::new("force_archive", ArgKind::Bool, "Make an archive of a single file too.").default("no"),
        ArgSpec::new("remove", ArgKind::Bool, "Remove what was packed.").default("no"),
    ],
    shared: FILE_ARGS,
    returns: &[
        ("archived", "what is in it"),
        ("arcroot", "the folder that names in it begin at"),
        ("dest", "the archive"),
        ("dest_state", "absent, archive, compress or incomplete"),
        ("missing", "paths that do not exist"),
        ("expanded_paths", "paths with patterns replaced"),
        ("expanded_exclude_paths", "the same of exclude_path"),
    ],
    ..ModuleSpec::BASE
};

pub struct Archive;

/// The program that packs a format, and how it unpacks.
fn packer(format: &str) -> (&'static str, &'static str) {
    match format {
        "gz" => ("gzip -c", "gzip -dc"),
        "bz2" => ("bzip2 -c", "bzip2 -dc"),
        "xz" => ("xz -c", "xz -dc"),
        "zstd" => ("zstd -q -c", "zstd -q -dc"),
        _ => ("cat", "cat"),
    }
}

/// From `xp_all` and `xp_not`, lists of paths: what is there and what is not, the folder above all, and the names to
/// pack below it.
const SORT: &str = r#"xp_force= xp_paths= xp_root= xp_n=0 xp_found= xp_gone=
xp_in() { case "$xp_nl$2$xp_nl" in *"$xp_nl$1$xp_nl"*) return 0 ;; esac; return 1; }
xp_collect() {
	set -f
	IFS=$xp_nl
	for xp_p in $xp_all; do
		xp_in "$xp_p" "$xp_not" || xp_in "$xp_p" "$xp_paths" || xp_paths=${xp_paths:+$xp_paths$xp_nl}$xp_p
	done
	xp_paths=$(printf '%s' "$xp_paths${xp_paths:+$xp_nl}" | LC_ALL=C sort)
	for xp_p in $xp_paths; do
		xp_d=${xp_p%/*}/
		if [ -z "$xp_root" ]; then
			xp_root=$xp_d xp_first=$xp_p
		else
			while :; do
				case $xp_d in "$xp_root"*) break ;; esac
				xp_root=${xp_root%/}
				xp_root=${xp_root%/*}/
			done
		fi
		xp_n=$((xp_n + 1))
		if [ -e "$xp_p" ] || [ -h "$xp_p" ]; then
			xp_found=${xp_found:+$xp_found$xp_nl}$xp_p
		else
			xp_gone=${xp_gone:+$xp_gone$xp_nl}$xp_p
		fi
	done
	unset IFS
	set +f
}
xp_list() {
	set -f
	IFS=$xp_nl
	for xp_p in $xp_found; do
		if [ -d "$xp_p" ]; then find -H "${xp_p%/}" -mindepth 1; else printf '%s\n' "$xp_p"; fi
	done | while IFS= read -r xp_f; do
		xp_name=${xp_f#"$xp_root"}
		[ "$xp_f" != "$xp_dest" ] || continue
		xp_left_out && continue
		case $xp_name in -*) xp_name=./$xp_name ;; esac
		printf '%s\n' "$xp_name"
	done | LC_ALL=C sort -u
	unset IFS
	set +f
}
xp_tar() {
	if [ -z "$xp_names" ]; then
		dd if=/dev/zero bs=10240 count=1 2>/dev/null
	elif tar --version 2>/dev/null | grep -q GNU; then
		printf '%s\n' "$xp_names" | tar -cf - --no-unquote --no-recursion -T -
	else
		set -f
		IFS=$xp_nl
		set -- $xp_names
		unset IFS
		set +f
		tar -cf - --no-recursion -- "$@"
	fi
}
xp_zipped() { LC_ALL=C unzip -l "$xp_dest" 2>/dev/null | sed -n 's/^ *[0-9][0-9]*  *[0-9][0-9]*-[0-9-]*  *[0-9][0-9]*:[0-9]*   //p'; unzip -p "$xp_dest" 2>/dev/null; }
xp_to_zip() {
	printf '%s\n' "$xp_names" | while IFS= read -r xp_f; do if [ -d "$xp_f" ]; then printf '%s/\n' "${xp_f#./}"; else printf '%s\n' "${xp_f#./}"; fi; done
	printf '%s\n' "$xp_names" | while IFS= read -r xp_f; do [ ! -f "$xp_f" ] || cat -- "$xp_f"; done
}
"#;

impl Module for Archive {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let attrs = Attrs::of(&call.args)?;
        let format = format(call);
        let (pack, unpack) = packer(format);
        let tool = pack.split(' ').next().unwrap_or_default();
        let tools = if format == "zip" { "zip unzip" } else { tool };
        let mut script = format!(
            "for xp_v in {tools}; do command -v $xp_v >/dev/null 2>&1 || {{ printf 'missing %s\\n' $xp_v; exit 0; }}; done\n{}",
            lists(call)?
        );
        script += "xp_many() { xp_tell \"$1\" \"$2\"; }\nxp_many all \"$xp_all\"; xp_many excluded \"$xp_not\"; xp_many gone \"$xp_gone\"; \
                   xp_many found \"$xp_found\"\n[ -n \"$xp_paths\" ] || exit 0\nxp_tell root \"$xp_root\"; printf 'archive %s\\n' \"${xp_must:-no}\"\n\
                   [ -n \"$xp_dest\" ] || exit 0\nxp_tell dest \"$xp_dest\"\nxp_look \"$xp_dest\"\n";
        script += &attrs.probe("\"$xp_dest\"");
        script += "xp_t=no\ncase $xp_dest in *.[tT][aA][rR] | *.[tT][aA][rR].* | *.[tT][gG][zZ] | *.[tT][bB][zZ]2 | *.[tT][zZ][sS][tT] | *.[zZ][iI][pP]) xp_t=yes ;; esac\n\
                   printf 'named %s\\n' $xp_t\n[ -n \"$xp_found\" ] || exit 0\n";
        add!(
            script,
            "if [ -f \"$xp_dest\" ] && [ -r \"$xp_dest\" ]; then\n{}fi\nprintf 'content\\n%s\\n' \"$xp_names\"\n",
            match format {
                "zip" => "printf 'is %s\\nwill %s\\n' \"$(xp_zipped | xp_sha256 /dev/stdin)\" \"$(xp_to_zip | xp_sha256 /dev/stdin)\"\n".to_string(),
                _ => format!(
                    "printf 'is %s\\n' \"$({unpack} <\"$xp_dest\" 2>/dev/null | xp_sha256 /dev/stdin)\"\n\
                     if [ -n \"${{xp_must}}{}\" ]; then xp_s=$(xp_tar 2>/dev/null | xp_sha256 /dev/stdin); else xp_s=$(xp_sha256 \"$xp_first\"); fi\n\
                     printf 'will %s\\n' \"$xp_s\"\n",
                    if format == "tar" { "yes" } else { "" }
                ),
            }
        );
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        for path in args.texts("path") {
            let path = expand_path(call, &path)?;
            let fixed = path
                .find(['*', '?'])
                .and_then(|at| path[..at].rfind('/'))
                .map_or(path.as_str(), |at| &path[..at]);
            call.needs_untouched(fixed)?;
        }
        let report = Report::of(seen)?;
        if let Some(tool) = report.get("missing") {
            let format = format(call);
            return Err(missing(
                call,
                format!("there is no {} on the target, which format={format} needs", tool.trim()),
            ));
        }
        let many = |tag: &str| -> Vec<String> {
            report.word(tag).unwrap_or_default().lines().map(str::to_string).collect()
        };
        let (all, excluded, gone, found) = (many("all"), many("excluded"), many("gone"), many("found"));
        if report.get("root").is_none() {
            return Err(Failure::new("Error, no source paths were found")
                .with("path", args.texts("path").join(", "))
                .with("expanded_paths", all.join(", "))
                .with("expanded_exclude_paths", excluded.join(", ")));
        }
        let archive = report.need("archive")? == "yes";
        let Some(dest) = report.word("dest") else {
            return Err(Failure::new("Error, must specify \"dest\" when archiving multiple files or trees")
                .with("path", args.texts("path").join(", ")));
        };
        if call.foreseen_file(&dest)?.is_some() {
            return Err(Failure::unknown(Unknown {
                cause: format!("{dest} is changed by an earlier step").into(),
            }));
        }
        let root = report.word("root").unwrap_or_default();
        let remove = args.flag("remove");
        if remove
            && let Some(path) =
                found.iter().find(|path| dest.starts_with(&format!("{}/", path.trim_end_matches('/'))))
        {
            return Err(Failure::new(
                "Error, created archive can not be contained in source paths when remove=true",
            )
            .with("path", path.as_str()));
        }
        let names = String::from_utf8_lossy(report.content.as_deref().unwrap_or_default()).into_owned();
        let archived: Vec<String> = names
            .lines()
            .filter(|n| !n.is_empty())
            .map(|name| format!("{root}{}", name.trim_start_matches("./")))
            .collect();
        let look = Look::of(&report)?;
        let there = look.file.as_ref();
        let state = match (found.is_empty(), archive) {
            (true, _) if there.is_none() => "absent",
            (true, _) if report.get("named") == Some("yes") => "archive",
            (true, _) | (false, false) => "compress",
            (false, true) if !gone.is_empty() => "incomplete",
            (false, true) => "archive",
        };
        let state = if !archive && !found.is_empty() && matches!(format(call), "tar" | "zip") {
            "archive"
        } else {
            state
        };
        let mut result =
            Map::from_iter([("dest", Value::str(dest.as_str())), ("dest_state", Value::str(state))]);
        result.insert("archived", archived.clone());
        result.insert("arcroot", root.as_str());
        result.insert("missing", gone);
        result.insert("expanded_paths", all);
        result.insert("expanded_exclude_paths", excluded);
        let attrs = Attrs::of(args)?;
        let change = match there {
            Some(stat) => attrs.compare(&report, stat, look.umask, call.check)?,
            None => change_of_new(&attrs, &report, call.check)?,
        };
        let (is, will) = (report.get("is"), report.get("will"));
        let packs = !found.is_empty() && (there.is_none() || is.is_none() || is != will);
        let removes = remove && !found.is_empty();
        let own = there.is_some() && !change.is_empty();
        if !packs && !removes && !own {
            if let Some(stat) = there {
                super::attrs::describe(&mut result, stat);
            }
            return Ok(Prediction::same(result));
        }
        let quoted = q(&dest);
        let mut script = String::new();
        let mut stat = there.map(|stat| change.applied(stat, &attrs)).unwrap_or_default();
        let mut diff = Vec::new();
        if packs {
            let digests = Digests::default();
            let path = look.real.as_deref().filter(|_| look.is_link()).unwrap_or(&dest);
            let write = Write {
                dest: path,
                content: write::bytes(b""),
                digests: &digests,
                old: there,
                before: if there.is_none() { Before::Absent } else { Before::Anything },
                umask: look.umask,
                attrs: &attrs,
                change: &change,
                backup: false,
                validate: None,
                unsafe_writes: args.flag("unsafe_writes"),
            };
            stat = write.predicted(call.target);
            add!(
                script,
                "{}{}\nxp_write{} {} <\"$xp_mine\" || exit $?\n{}",
                lists(call)?,
                pack(call, archive),
                write.options()?,
                q(path),
                change.flags_script(&q(path))
            );
            let side = |state: &str, digest: Option<&str>| {
                let mut map = Map::from_iter([("state", Value::str(state))]);
                map.insert("content", digest.map_or(Value::str(""), Value::str));
                map
            };
            let before = side(if there.is_some() { "file" } else { "absent" }, is);
            let mut after = side("file", will);
            if will.is_none() {
                after.insert("content", "what the archive will hold");
            }
            after.insert("entries", archived.len());
            diff.push(attr_diff(&dest, before, after));
        } else if own {
            script += &change.script(&quoted);
        }
        if own {
            let (before, after) = change.sides();
            diff.push(attr_diff(&dest, before.clone(), after.clone()));
        }
        if removes {
            for path in &found {
                add!(script, "xp_do \"remove \"{0} rm -rf -- {0}\n", q(path));
                diff.push(attr_diff(
                    path,
                    Map::from_iter([("state", "present")]),
                    Map::from_iter([("state", "absent")]),
                ));
            }
        }
        add!(script, "printf 'stat '; xp_stat {quoted}\n");
        let run = Run { script, ..Run::default() };
        let mut prediction = Prediction::change(result, vec![Action::Run(run)]);
        prediction.diff = diff;
        prediction.warnings = change.warnings;
        let after = FileAfter::File { stat, body: if packs { Body::Unknown } else { Body::AsFound } };
        prediction = prediction.touch(Touch::File { path: dest, after });
        if removes {
            for path in found {
                prediction = prediction.touch(Touch::Tree { path });
            }
        }
        Ok(prediction)
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        write::finish(prediction, ran, "backup_file", true)
    }
}

fn format<'c>(call: &'c Call) -> &'c str {
    call.args.str("format").unwrap_or("gz")
}

/// Returns the lines that find out what is to be packed.
fn lists(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let mut script = format!("xp_must= xp_all= xp_not=\n{SORT}");
    for (arg, list) in [("path", "xp_all"), ("exclude_path", "xp_not")] {
        for text in args.texts(arg).iter().filter(|text| !text.is_empty()) {
            let path = expand_path(call, text)?;
            if path.contains('\n') {
                return Err(Failure::new(format!("{arg}: names with line breaks cannot be packed")));
            }
            if path.contains(['*', '?']) {
                if arg == "path" {
                    script += "xp_must=yes\n";
                }
                add!(
                    script,
                    "for xp_p in {}; do if [ -e \"$xp_p\" ] || [ -h \"$xp_p\" ]; then {list}=${{{list}:+${list}$xp_nl}}$xp_p; fi; done\n",
                    pattern(call, text)?
                );
            } else {
                add!(script, "xp_p={}; {list}=${{{list}:+${list}$xp_nl}}$xp_p\n", q(&path));
            }
        }
    }
    let what = if format(call) == "zip" { "$xp_f" } else { "$xp_name" };
    let mut cases = String::new();
    for text in args.texts("exclusion_patterns").iter().filter(|text| !text.is_empty()) {
        let quoted: String = text
            .chars()
            .map(|c| match c {
                '*' | '?' | '[' | ']' => c.to_string(),
                c if c.is_ascii_alphanumeric() || "/._-!".contains(c) => c.to_string(),
                c => q(&c.to_string()),
            })
            .collect();
        add!(cases, "{quoted}) return 0 ;; ");
    }
    add!(script, "xp_left_out() {{ case {what} in {cases}'') ;; esac; return 1; }}\nxp_collect\n");
    if args.flag("force_archive") {
        script += "xp_must=yes\n";
    }
    let dest = match args.str("dest").filter(|dest| !dest.is_empty()) {
        Some(dest) => format!("xp_dest={}\n", q(&expand_path(call, dest)?)),
        None => format!("xp_dest=; [ -n \"$xp_must\" ] || xp_dest=$xp_first.{}\n", format(call)),
    };
    // Names in the archive begin below the folder that is above all.
    add!(
        script,
        "if [ -n \"$xp_paths\" ]; then if [ -d \"$xp_first\" ] || [ $xp_n -gt 1 ]; then xp_must=yes; fi\n{dest}\
         xp_names=$(xp_list); cd \"$xp_root\" 2>/dev/null || :\nfi\n"
    );
    Ok(script)
}

/// Returns the lines that make the archive in the file `$xp_mine`.
fn pack(call: &Call, archive: bool) -> String {
    let format = format(call);
    let (pack, _) = packer(format);
    let begin = "xp_temp \"${xp_dest%/*}\" || xp_fail \"cannot make $xp_dest: $(xp_why \"$xp_e\")\"\nxp_mine=$xp_tmp\n\
                 trap 'rm -f -- \"$xp_mine\" \"$xp_mine.zip\"' EXIT\ntrap 'exit 129' HUP\ntrap 'exit 130' INT\ntrap 'exit 143' TERM\n";
    let make = if format == "zip" {
        "printf '%s\\n' \"$xp_names\" | sed 's|^[.]/||' | zip -q -X \"$xp_mine.zip\" -@ >&2 || [ -z \"$xp_names\" ] || xp_fail \"Error when writing zip archive at $xp_dest\"\n\
         mv -- \"$xp_mine.zip\" \"$xp_mine\" || exit 1\n"
            .to_string()
    } else if archive || format == "tar" {
        let name = if format == "tar" {
            "tar".to_string()
        } else {
            format!("tar.{}", if format == "zstd" { "zst" } else { format })
        };
        format!(
            "xp_s=$( {{ {{ xp_tar; printf '%s' $? >&3; }} | {pack} >\"$xp_mine\"; printf ' %s' $? >&3; }} 3>&1 )\n\
             [ \"$xp_s\" = '0 0' ] || xp_fail \"Error when writing {name} archive at $xp_dest\"\n"
        )
    } else {
        format!(
            "{pack} <\"$xp_first\" >\"$xp_mine\" || xp_fail \"Unable to write to compressed file: $xp_dest\"\n"
        )
    };
    format!("{begin}{make}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::hex;
    use crate::modules::testing::{Case, args};

    const THERE: &str = "umask 0022\nlstat 81a4 0 0 9 1 1 1 9 1 1 0 0 8 4096 :root:root:\n";

    fn seen(archive: bool, look: &str, more: &str) -> String {
        let archive = if archive { "yes" } else { "no" };
        format!(
            "all =/a/b\nexcluded =\ngone =\nfound =/a/b\nroot =/a/\narchive {archive}\ndest =/x.tgz\n{look}named yes\n{more}content\nb/one\n"
        )
    }

    fn check(given: &[(&str, &str)], seen: &str, expect: Result<(bool, &str), &str>) {
        let mut given = given.to_vec();
        given.push(("path", "/a/b"));
        let got = Case::new(&Archive, args(&given)).plan(seen).map_err(|f| f.msg);
        let got = got.map(|p| (p.changes(), p.result.get("dest_state").unwrap().to_text()));
        let got = got.as_ref().map(|(changes, state)| (*changes, state.as_str())).map_err(String::as_str);
        assert_eq!(got, expect, "{given:?}");
    }

    #[test]
    fn packs_what_differs() {
        let absent = "umask 0022\nlstat absent\n";
        let dest = ("dest", "/x.tgz");
        check(&[dest], &seen(true, absent, ""), Ok((true, "archive")));
        check(&[dest], &seen(true, THERE, "is 12\nwill 12\n"), Ok((false, "archive")));
        check(&[dest], &seen(true, THERE, "is 12\nwill 13\n"), Ok((true, "archive")));
        check(&[dest, ("remove", "yes")], &seen(true, THERE, "is 12\nwill 12\n"), Ok((true, "archive")));
        check(&[dest, ("mode", "0600")], &seen(true, THERE, "is 12\nwill 12\n"), Ok((true, "archive")));
        check(&[], &seen(false, absent, ""), Ok((true, "compress")));
        let gone = seen(true, THERE, "is 1\nwill 1\n").replace("gone =", "gone =/a/c");
        check(&[dest], &gone, Ok((false, "incomplete")));
    }

    #[test]
    fn refuses() {
        let none = format!("all =\nexcluded %{}\ngone =\nfound =\n", hex(b"/a/b"));
        check(&[], &none, Err("Error, no source paths were found"));
        let many = "all =/a/b\nexcluded =\ngone =\nfound =/a/b\nroot =/a/\narchive yes\n";
        check(&[], many, Err("Error, must specify \"dest\" when archiving multiple files or trees"));
        let inside = seen(true, THERE, "").replace("dest =/x.tgz", "dest =/a/b/x.tgz");
        check(
            &[("remove", "yes")],
            &inside,
            Err("Error, created archive can not be contained in source paths when remove=true"),
        );
        check(&[], "missing xz\n", Err("there is no xz on the target, which format=gz needs"));
    }
}
