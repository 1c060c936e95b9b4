//! `xcat_packimage`: the archive that nodes boot from, packed only when something that goes into it changed.
//!
//! `packimage` succeeds on an empty tree, does not see a compressor that fails, and removes the old archive first. So:
//! a guard before, and afterwards the archive is read to its end by its own tool.

use super::common::{self, ARCHIVES, NAMESPACES};
use super::genimage_inputs::{self as inputs, FUNCTIONS};
use super::osimage::check_name;
use super::parse::{self, Attrs};
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Locks, Module, ModuleSpec, Outcome, Prediction, Relations, Run,
    Seen,
};
use crate::transport::Output;
use crate::value::{Map, Unknown};

pub struct Packimage;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_packimage",
    namespaces: NAMESPACES,
    about: "Packs a diskless image when its tree, exclusion list, synclists, postscripts or the method changed",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "Name of the osimage").required().aliases(&["image"]),
        ArgSpec::new(
            "rootimgdir",
            ArgKind::Path,
            "The image's directory, for plans made before the osimage exists",
        ),
        ArgSpec::new("method", ArgKind::Str, "Kind of archive")
            .default("cpio")
            .choices(&["cpio", "tar", "squashfs"]),
        ArgSpec::new("compress", ArgKind::Str, "Compression; gzip uses pigz where xCAT finds it")
            .default("gzip")
            .choices(&["gzip", "pigz", "xz"]),
        ArgSpec::new("nosyncfiles", ArgKind::Bool, "Do not put the synclists' files into the image")
            .default("false"),
        ArgSpec::new("force", ArgKind::Bool, "Pack although nothing changed").default("false"),
        ArgSpec::new("minimum_size", ArgKind::Int, "Bytes that the archive must have at least")
            .default("1000000"),
        ArgSpec::new("installdir", ArgKind::Path, "xCAT's install directory").default("/install"),
        ArgSpec::new("timeout", ArgKind::Int, "Seconds that it may take").default("7200"),
    ],
    returns: &[
        ("archive", "the packed file"),
        ("size", "its size in bytes"),
        ("uuid", "IMAGEUUID of this build"),
        ("timestamp", "time of this build"),
        ("nodes", "nodes that boot from the image"),
        ("reasons", "what changed"),
    ],
    ..ModuleSpec::BASE
};

/// The attributes that name what is packed besides the tree.
const INPUTS: &[(&str, &str)] = &[("exclusion list", "exlist"), ("synclist", "synclists")];

impl Module for Packimage {
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
        let mut body = begin(call, Loud::Yes)?;
        add(
            &mut body,
            format_args!(
                "xc_run inputs x_inputs\n\
                 if [ -f \"$x_root/.xplay-packimage\" ]; then xc_run stamp cat \"$x_root/.xplay-packimage\"\n\
                 elif [ -f \"$x_root/.xplay-packimage.new\" ]; then xc_say unverified yes; fi\n\
                 x_look\nif [ -n \"$x_archive\" ]; then\n  \
                 xc_say newer \"$(find \"$x_root/rootimg\" \\( -path \"$x_root/rootimg/proc\" -o -path \"$x_root/rootimg/sys\" -o -path \"$x_root/rootimg/dev\" \
                 -o -path \"$x_root/rootimg/run\" -o -path \"$x_root/rootimg/tmp\" -o -path \"$x_root/rootimg/var/lib/rpm\" \\) -prune -o -newer \"$x_root/$x_archive\" -print 2>/dev/null | sed -n 1p)\"\n  \
                 xc_say newer-input \"$(x_newer)\"\nfi\n\
                 xc_say space \"$(df -Pk \"$x_root\" 2>/dev/null | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\\([0-9]*\\) .*/\\1/p') $(du -skx \"$x_root/rootimg\" 2>/dev/null | cut -f 1)\"\n\
                 xc_say lock \"$(xc_lock_holder \"$x_root/rootimg\")\"\n\
                 xc_run nodes xcat lsdef -t node -w provmethod=={}",
                quote(name(call)?)
            ),
        );
        Ok(Some(script(&body)))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let name = name(call)?;
        let sections = Sections::of_probe(seen)?;
        let definition = common::definition(call, &sections, name)?;
        let mut result = Map::new();
        let root = common::rootimgdir(call, definition.as_ref());
        result.insert("name", name);
        result.insert("rootimgdir", root.clone());
        let nodes = sections.get("nodes").map(|s| parse::object_names(&s.out)).unwrap_or_default();
        result.insert("nodes", nodes.clone());
        let mut reasons = Vec::new();
        match &definition {
            None => {
                common::unless_predicting(call, || {
                    Failure::new(format!("the osimage {name} does not exist"))
                })?;
                reasons.push(format!("the osimage {name} does not exist yet"));
            }
            Some(definition) => {
                guard(call, definition, &sections, root.as_deref().unwrap_or_default())?;
                reasons.extend(why(call, &sections));
            }
        }
        if call.args.flag("force") {
            reasons.push("it is forced".into());
        }
        let mut depends: Vec<Unknown> =
            definition.iter().flat_map(|d| inputs::changed_first(call, d, INPUTS)).collect();
        // What is put into the tree by hand, such as lines of its /etc/exports.
        let tree = root.as_ref().filter(|r| !r.is_empty()).map(|root| format!("{root}/rootimg"));
        depends.extend(tree.and_then(|tree| inputs::path_changed_first(call, "tree", &tree)));
        let made_first = [relations::TREE, relations::SERVICES]
            .iter()
            .any(|kind| relations::changed_first(call, kind, name).is_some());
        if reasons.is_empty() && (made_first || !depends.is_empty()) {
            reasons.push("an earlier step changes what goes into it".into());
        }
        if reasons.is_empty() {
            insert_build(&mut result, &sections, root.as_deref().unwrap_or_default());
            return Ok(Prediction::same(result));
        }
        reasons.dedup();
        result.insert("reasons", reasons.clone());
        if let Some(root) = root.as_deref().filter(|r| !r.is_empty()) {
            let now = sections.line("archive");
            let name = if is_wanted(call, now) { now } else { archive_name(call) };
            result.insert("archive", format!("{root}/{name}"));
        }
        let mut warnings = Vec::new();
        if !nodes.is_empty() && !sections.line("archive").is_empty() {
            warnings.push(format!(
                "{} boot from {name}: none of them can boot while it is packed",
                common::listed(&nodes)
            ));
        }
        let run = Run {
            script: change_script(call, name)?,
            long: true,
            timeout_secs: call.args.int("timeout").and_then(|t| u64::try_from(t).ok()),
            ..Run::default()
        };
        let diff = common::state_diff(
            &format!("archive of {name}"),
            [("state", reasons.join("; "), format!("{} packed anew", archive_name(call)))],
        );
        let verify = Action::run(verify_script(call, sections.text("info"))?);
        let mut prediction = Prediction::change(result, vec![Action::Run(run), verify]).diff(diff);
        prediction.diff.extend(inputs::list_diffs(sections.text("stamp"), sections.text("inputs")));
        if !sections.line("archive").is_empty() && !nodes.is_empty() {
            let root = root.unwrap_or_default();
            prediction.consequences.push(format!(
                "{root}/{} is replaced; {} boot from it now",
                sections.line("archive"),
                common::listed(&nodes)
            ));
        }
        Ok(Prediction { warnings, depends, ..prediction })
    }

    fn finish(&self, call: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if ran.is_empty() {
            return Ok(prediction.into_outcome());
        }
        let name = name(call)?;
        let said = Sections::of_long(ran, &format!("packimage of {name} failed"))?;
        let complaints =
            ran.first().map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).unwrap_or_default();
        let sections = Sections::of_change(ran, 1)?;
        let refuse = |why: String| {
            Err(Failure::new(format!("packimage of {name} ended with rc 0, but {why}"))
                .with("stdout", said.clone())
                .with("stderr", complaints.clone()))
        };
        let wanted = archive_name(call);
        let archive = sections.line("archive");
        if !is_wanted(call, archive) {
            return refuse(match archive {
                "" => format!("{wanted} does not exist"),
                other => format!("{wanted} does not exist, only {other}"),
            });
        }
        if sections.line("fresh") != "yes" {
            return refuse(format!("{wanted} is older than the start of packimage: nothing was packed"));
        }
        let size: i128 = sections.line("size").parse().unwrap_or(0);
        let minimum = call.args.int("minimum_size").unwrap_or(0);
        if size < minimum {
            return refuse(format!("{wanted} has only {size} bytes (at least {minimum} are expected)"));
        }
        for (what, section) in sections.named("test") {
            if section.rc != 0 && section.rc != 127 {
                return refuse(format!(
                    "{wanted} is not complete: {what} says {}",
                    common::tail(&format!("{}\n{}", section.out, section.err), 1)
                        .pop()
                        .unwrap_or_else(|| format!("rc {}", section.rc))
                ));
            }
        }
        if sections.get("listed").is_some() && sections.line("listed") != "yes" {
            return refuse(format!(
                "{wanted} does not hold a system (neither etc/os-release nor etc/redhat-release)"
            ));
        }
        let now = parse::xcatinfo(sections.text("info").lines());
        if parse::image_id(&now).is_none() || sections.get("new-id").is_none() {
            return refuse("rootimg/opt/xcat/xcatinfo has no new build id".into());
        }
        let mut outcome = prediction.into_outcome();
        if now.get("IMAGEUUID").is_none_or(String::is_empty) {
            outcome
                .warnings
                .push("the image has no IMAGEUUID (is uuidgen installed?); its time is used instead".into());
        }
        for m in parse::messages(&complaints).into_iter().filter(|m| m.warning) {
            outcome.warnings.push(m.text);
        }
        for (what, _) in sections.named("test").filter(|(_, s)| s.rc == 127) {
            outcome.warnings.push(format!("{what} is not installed: {archive} was not read to its end"));
        }
        let root = outcome.result.get("rootimgdir").map(|v| v.to_text()).unwrap_or_default();
        insert_build(&mut outcome.result, &sections, &root);
        Ok(outcome)
    }
}

fn name<'a>(call: &'a Call) -> Result<&'a str, Failure> {
    let name = call.args.str("name").unwrap_or_default();
    check_name(name)?;
    Ok(name)
}

fn archive_name(call: &Call) -> &'static str {
    let xz = call.args.str("compress") == Some("xz");
    match call.args.str("method") {
        Some("squashfs") => "rootimg.sfs",
        Some("tar") if xz => "rootimg.tar.xz",
        Some("tar") => "rootimg.tar.gz",
        _ if xz => "rootimg.cpio.xz",
        _ => "rootimg.cpio.gz",
    }
}

/// Whether an archive has the name of the wanted method; old releases say `rootimg.gz` for cpio and gzip.
fn is_wanted(call: &Call, archive: &str) -> bool {
    let wanted = archive_name(call);
    archive == wanted || wanted == ARCHIVES[0] && archive == "rootimg.gz"
}

fn insert_build(result: &mut Map, sections: &Sections, root: &str) {
    let info = parse::xcatinfo(sections.text("info").lines());
    let get = |key: &str| info.get(key).cloned().unwrap_or_default();
    result.insert("archive", format!("{root}/{}", sections.line("archive")));
    result.insert("size", sections.line("size").parse::<u64>().unwrap_or(0));
    result.insert("uuid", get("IMAGEUUID"));
    result.insert("timestamp", get("TIMESTAMP"));
}

/// Whether a script prints the definition: what a long action prints is shown to people.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loud {
    Yes,
    No,
}

/// Prints the definition, sets `x_root`, `x_archive`, and defines what probe and change share.
fn begin(call: &Call, loud: Loud) -> Result<String, Failure> {
    let name = name(call)?;
    let fallback = call.args.str("rootimgdir").unwrap_or_default().trim_end_matches('/');
    if !fallback.is_empty() && !fallback.starts_with('/') {
        return Err(Failure::new(format!("rootimgdir must be absolute, got {fallback:?}")));
    }
    let installdir = call.args.str("installdir").unwrap_or("/install").trim_end_matches('/');
    let mut body = FUNCTIONS.to_string();
    add(
        &mut body,
        format_args!(
            "{image} {name}\nx_install={install}\nx_root=$(xc_attr rootimgdir)\nx_root=${{x_root:-{fallback}}}\nx_root=${{x_root%/}}\n\
             x_inputs() {{\n  printf 'attribute - method=%s\\nattribute - nosyncfiles=%s\\n' {method} {nosync}\n  \
             x_packimage_inputs \"$x_install\"\n}}\n\
             x_newer() {{\n  for f in $(x_inputs | sed -n -e 's/^exlist [^ ]* //p' -e 's/^synclist [^ ]* //p' -e 's/^synced-file [^ ]* //p'); do\n    \
             [ -f \"$f\" ] && [ -n \"$(find \"$f\" -newer \"$x_root/$x_archive\")\" ] && {{ echo \"$f\"; return; }}\n  done\n  \
             [ ! -d \"$x_install/postscripts\" ] || find \"$x_install/postscripts\" -type f -newer \"$x_root/$x_archive\" | sed -n 1p\n}}\n\
             x_look() {{\n  x_archive=\n  for f in {archives}; do\n    if [ -f \"$x_root/$f\" ]; then x_archive=$f; break; fi\n  done\n  \
             xc_say archive \"$x_archive\"\n  [ -z \"$x_archive\" ] || xc_say size \"$(($(wc -c <\"$x_root/$x_archive\")))\"\n  \
             for f in etc/os-release etc/redhat-release etc/SuSE-release; do\n    \
             if [ -e \"$x_root/rootimg/$f\" ] || [ -L \"$x_root/rootimg/$f\" ]; then xc_say release \"$f\"; break; fi\n  done\n  \
             [ ! -s \"$x_root/kernel\" ] || xc_say kernel yes\n  for f in initrd-stateless.gz initrd.gz; do\n    \
             if [ -s \"$x_root/$f\" ]; then xc_say initrd \"$f\"; break; fi\n  done\n  \
             if [ -f \"$x_root/rootimg/opt/xcat/xcatinfo\" ]; then xc_run info cat \"$x_root/rootimg/opt/xcat/xcatinfo\"; fi\n}}\n",
            image = if loud == Loud::Yes { "xc_image" } else { "xc_quiet_image" },
            name = quote(name),
            install = quote(installdir),
            fallback = quote(fallback),
            method = quote(archive_name(call)),
            nosync = call.args.flag("nosyncfiles"),
            archives = ARCHIVES.join(" "),
        ),
    );
    Ok(body)
}

/// Refuses to pack what is no image: packimage would make the directory and succeed.
fn guard(call: &Call, definition: &Attrs, sections: &Sections, root: &str) -> Result<(), Failure> {
    let get = |key: &str| definition.get(key).map(String::as_str).unwrap_or_default();
    if get("provmethod") != "netboot" {
        return Err(Failure::new(format!(
            "the osimage has provmethod={}: only netboot images are packed",
            get("provmethod")
        )));
    }
    if root.is_empty() {
        return Err(Failure::new("the osimage has no rootimgdir"));
    }
    let now = inputs::parse(sections.text("inputs"));
    for (kind, what) in [("exlist", "exclusion list"), ("synclist", "synclist")] {
        if let Some(file) = inputs::missing(&now, kind).next() {
            common::unless_predicting(call, || {
                Failure::new(format!(
                    "the {what} {file} does not exist; packimage would ignore that silently"
                ))
            })?;
        }
    }
    for (section, what) in [
        ("release", "holds no system"),
        ("kernel", "has no kernel beside it"),
        ("initrd", "has no initial ramdisk beside it"),
    ] {
        if sections.get(section).is_none() {
            common::unless_predicting(call, || {
                Failure::new(format!("{root}/rootimg {what}: run genimage first"))
            })?;
        }
    }
    let holder = sections.line("lock");
    if !holder.is_empty() {
        common::unless_predicting(call, || {
            Failure::new(format!(
                "process {holder} holds the lock of {root}/rootimg: genimage or packimage is running"
            ))
        })?;
    }
    // What is there is removed first, so its size is free then.
    let mut space = sections.line("space").split(' ').map(|n| n.parse::<u64>().ok());
    if let (Some(Some(free)), Some(Some(tree))) = (space.next(), space.next()) {
        let old = sections.line("size").parse::<u64>().unwrap_or(0) / 1024;
        let needed = if old > 0 { old.saturating_add(old / 4) } else { tree / 2 };
        if free.saturating_add(old) < needed {
            common::unless_predicting(call, || {
                Failure::new(format!(
                    "{root} has {} MB free, but the archive needs about {} MB",
                    free / 1024,
                    needed / 1024
                ))
            })?;
        }
    }
    Ok(())
}

fn why(call: &Call, sections: &Sections) -> Vec<String> {
    let mut reasons = Vec::new();
    if sections.get("release").is_none() {
        reasons.push("the tree is not made yet".into());
    }
    let archive = sections.line("archive");
    if archive.is_empty() {
        reasons.push("nothing is packed".into());
        return reasons;
    }
    let wanted = archive_name(call);
    if !is_wanted(call, archive) {
        reasons.push(format!("it is packed as {archive} instead of {wanted}"));
    }
    if !sections.line("newer").is_empty() {
        reasons.push(format!("{} is newer than {archive}", sections.line("newer")));
    }
    match sections.get("stamp") {
        Some(stamp) => {
            let then = inputs::parse(&stamp.out);
            let size = then.get(&("attribute".to_string(), "size".to_string())).cloned().unwrap_or_default();
            if size != sections.line("size") {
                reasons.push(format!("{archive} is not the file that was packed last"));
            }
            let inputs_then = then.into_iter().filter(|((_, k), _)| k != "size").collect();
            let now = inputs::parse(sections.text("inputs"));
            reasons.extend(inputs::differences(&inputs_then, &now));
        }
        None if sections.get("unverified").is_some() => {
            reasons.push(format!("the last packing did not end well, so {archive} cannot be trusted"));
        }
        // Packed by hand: times are all that is known.
        None if !sections.line("newer-input").is_empty() => {
            reasons.push(format!("{} is newer than {archive}", sections.line("newer-input")));
        }
        None => {}
    }
    reasons
}

fn change_script(call: &Call, name: &str) -> Result<String, Failure> {
    let mut body = begin(call, Loud::No)?;
    // Only what differs from xCAT's own defaults: old releases do not know every option.
    let mut options = String::new();
    match call.args.str("method") {
        None | Some("cpio") => {}
        Some(method) => add(&mut options, format_args!("-m {method} ")),
    }
    match call.args.str("compress") {
        None | Some("gzip") => {}
        Some(compress) => add(&mut options, format_args!("-c {compress} ")),
    }
    if call.args.flag("nosyncfiles") {
        options.push_str("--nosyncfiles ");
    }
    let timeout = call.args.int("timeout").unwrap_or(7200).clamp(1, 86_400);
    add(
        &mut body,
        format_args!(
            "x_look >/dev/null\nx_inputs >\"$x_root/.xplay-packimage.new\" || exit 1\nrm -f \"$x_root/.xplay-packimage\"\n\
             x_beat() {{\n  x_s=0\n  while [ \"$x_s\" -lt {timeout} ]; do\n    sleep 5 >/dev/null 2>&1\n    x_s=$((x_s + 5))\n    \
             xc_progress \"packimage {name}: $x_s s, $(du -sk \"$x_root\"/rootimg.* 2>/dev/null | sed -n 1p | cut -f 1) KB\"\n  done\n}}\n\
             x_beat </dev/null &\nx_beating=$!\nxcat packimage {options}{quoted} </dev/null\nx_rc=$?\nkill \"$x_beating\" 2>/dev/null\n\
             wait \"$x_beating\" 2>/dev/null\nexit $x_rc",
            quoted = quote(name),
        ),
    );
    Ok(script(&body))
}

/// Reads the result back; the stamp comes back only when everything holds. `info` is xcatinfo of the last build.
fn verify_script(call: &Call, info: &str) -> Result<String, Failure> {
    let mut body = begin(call, Loud::No)?;
    add(
        &mut body,
        format_args!(
            "x_info={}\nx_look\n[ -n \"$x_archive\" ] || exit 0\nf=$x_root/$x_archive\n\
             x_ok=no\nif [ -n \"$(find \"$f\" -newer \"$x_root/.xplay-packimage.new\")\" ]; then xc_say fresh yes; x_ok=yes; fi\n\
             case $x_archive in {archive}) ;; *) x_ok=no ;; esac\n[ \"$(wc -c <\"$f\")\" -ge {minimum} ] || x_ok=no\n\
             if [ \"$(cat \"$x_root/rootimg/opt/xcat/xcatinfo\" 2>/dev/null)\" != \"$x_info\" ]; then xc_say new-id yes; else x_ok=no; fi\n",
            quote(info.trim_end()),
            minimum = call.args.int("minimum_size").unwrap_or(0),
            archive = if archive_name(call) == ARCHIVES[0] {
                "rootimg.cpio.gz|rootimg.gz"
            } else {
                archive_name(call)
            },
        ),
    );
    body.push_str(
        "x_names() { sed -n -e 's|^\\./||' -e '/^etc\\/os-release$/p' -e '/^etc\\/redhat-release$/p' -e '/^etc\\/SuSE-release$/p' -e '/^usr\\/lib\\/os-release$/p'; }\n\
         x_has() { if [ -n \"$1\" ]; then xc_say listed yes; else xc_say listed no; x_ok=no; fi; }\n\
         case $x_archive in *.gz) x_un=gzip ;; *.xz) x_un=xz ;; *) x_un= ;; esac\n\
         if [ -n \"$x_un\" ] && [ \"$x_ok\" = yes ]; then xc_run \"test $x_un -t\" $x_un -t \"$f\"; [ \"$xc_rc\" = 0 ] || x_ok=no; fi\n\
         if [ \"$x_ok\" = yes ]; then case $x_archive in\n\
         *.cpio.*|rootimg.gz) if command -v cpio >/dev/null 2>&1; then\n\
         x_cpio() { $x_un -dc \"$f\" | cpio -it >/dev/null; }\n\
         xc_run 'test cpio -t' x_cpio; [ \"$xc_rc\" = 0 ] || x_ok=no\n\
         x_has \"$($x_un -dc \"$f\" | cpio -it 2>/dev/null | x_names)\"\n\
         else\n\
         x_trailer() { $x_un -dc \"$f\" | tail -c 4096 | grep -a -q 'TRAILER!!!' || { echo 'the end of the archive is missing'; return 1; }; }\n\
         xc_run 'test the trailer' x_trailer; [ \"$xc_rc\" = 0 ] || x_ok=no\n\
         x_has \"$($x_un -dc \"$f\" | tr '\\000' '\\n' | grep -a -E '07070[12][0-9A-Fa-f]{104}(\\./)?(etc/(os|redhat|SuSE)-release|usr/lib/os-release)$' | sed -n 1p)\"\n\
         fi ;;\n\
         *.tar.*) x_tar() { $x_un -dc \"$f\" | tar -tf - >/dev/null; }\n\
         xc_run 'test tar -t' x_tar; [ \"$xc_rc\" = 0 ] || x_ok=no\n\
         x_has \"$($x_un -dc \"$f\" | tar -tf - 2>/dev/null | x_names)\" ;;\n\
         *.sfs) if command -v unsquashfs >/dev/null 2>&1; then xc_run 'test unsquashfs -l' unsquashfs -l \"$f\"; [ \"$xc_rc\" = 0 ] || x_ok=no\n\
         else xc_run 'test unsquashfs' sh -c 'exit 127'; fi ;;\n\
         esac; fi\n\
         if [ \"$x_ok\" = yes ]; then\n\
         printf 'attribute - size=%s\\n' \"$(($(wc -c <\"$f\")))\" >>\"$x_root/.xplay-packimage.new\"\n\
         mv -f \"$x_root/.xplay-packimage.new\" \"$x_root/.xplay-packimage\"\nfi",
    );
    Ok(script(&body))
}

#[cfg(test)]
#[path = "packimage_tests.rs"]
mod tests;
