//! Tests by name: what stands behind `is`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::args::{VArgs, ValueArgs, flag_or, need, text_or};
use super::error::{Fail, R};
use super::filters::html::split_url;
use super::filters::regex::{MatchMode, matches};
use super::filters::{sets, short_name, to_bool};
use super::interp::{Interp, same, truth_value};
use super::ir::CompareOp;
use super::ops::{Num, math};
use super::runtime::{Obj, V, text_of};
use super::{Truth, filters, versions};
use crate::value::{Key, Map, Value};

pub(super) type PlainTest = fn(&mut Interp<'_>, Value, ValueArgs) -> R<bool>;
pub(super) type RawTest = fn(&mut Interp<'_>, V, VArgs) -> R<V>;

#[derive(Debug)]
pub(super) enum Test {
    /// Over plain data; the answer is unknown where anything in it is.
    Plain(PlainTest),
    /// Over whatever there is.
    Raw(RawTest),
}

use Test::{Plain, Raw};

const TABLE: &[(&str, Test)] = &[
    ("defined", Raw(|_, v, a| none(a, V::bool(!v.is_undef())))),
    ("undefined", Raw(|_, v, a| none(a, V::bool(v.is_undef())))),
    ("none", Raw(|_, v, a| kind(v, a, |v| v.is_null()))),
    ("null", Raw(|_, v, a| kind(v, a, |v| v.is_null()))),
    ("boolean", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Bool(_)))))),
    ("true", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Bool(true)))))),
    ("false", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Bool(false)))))),
    ("integer", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Int(_)))))),
    ("float", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Float(_)))))),
    (
        "number",
        Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Int(_) | Value::Float(_) | Value::Bool(_))))),
    ),
    ("string", Raw(|_, v, a| kind(v, a, |v| v.as_text().is_some()))),
    ("mapping", Raw(|_, v, a| kind(v, a, V::is_dict))),
    ("sequence", Raw(|_, v, a| kind(v, a, is_sequence))),
    (
        "iterable",
        // Python asks what is undefined for its members.
        Raw(|_, v, a| match &v {
            V::Undef(u) => Err(u.fail.clone()),
            _ => kind(v, a, is_sequence),
        }),
    ),
    ("callable", Raw(|_, v, a| kind(v, a, is_callable))),
    ("escaped", Raw(|_, v, a| kind(v, a, |_| false))),
    ("nan", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Float(f)) if f.is_nan())))),
    ("isnan", Raw(|_, v, a| kind(v, a, |v| matches!(v, V::Val(Value::Float(f)) if f.is_nan())))),
    ("sameas", Raw(same_as)),
    ("eq", Raw(|i, v, a| compare(i, CompareOp::Eq, v, a))),
    ("==", Raw(|i, v, a| compare(i, CompareOp::Eq, v, a))),
    ("equalto", Raw(|i, v, a| compare(i, CompareOp::Eq, v, a))),
    ("ne", Raw(|i, v, a| compare(i, CompareOp::Ne, v, a))),
    ("!=", Raw(|i, v, a| compare(i, CompareOp::Ne, v, a))),
    ("lt", Raw(|i, v, a| compare(i, CompareOp::Lt, v, a))),
    ("<", Raw(|i, v, a| compare(i, CompareOp::Lt, v, a))),
    ("lessthan", Raw(|i, v, a| compare(i, CompareOp::Lt, v, a))),
    ("le", Raw(|i, v, a| compare(i, CompareOp::Le, v, a))),
    ("<=", Raw(|i, v, a| compare(i, CompareOp::Le, v, a))),
    ("gt", Raw(|i, v, a| compare(i, CompareOp::Gt, v, a))),
    (">", Raw(|i, v, a| compare(i, CompareOp::Gt, v, a))),
    ("greaterthan", Raw(|i, v, a| compare(i, CompareOp::Gt, v, a))),
    ("ge", Raw(|i, v, a| compare(i, CompareOp::Ge, v, a))),
    (">=", Raw(|i, v, a| compare(i, CompareOp::Ge, v, a))),
    ("in", Raw(|i, v, a| compare(i, CompareOp::In, v, a))),
    ("contains", Raw(contains)),
    ("odd", Plain(|_, v, a| remainder(&v, a.bind([])?, 2).map(|r| r == 1.0))),
    ("even", Plain(|_, v, a| remainder(&v, a.bind([])?, 2).map(|r| r == 0.0))),
    ("divisibleby", Plain(divisible)),
    ("lower", Plain(|_, v, a| cased(&v, a, char::is_lowercase, char::is_uppercase))),
    ("upper", Plain(|_, v, a| cased(&v, a, char::is_uppercase, char::is_lowercase))),
    (
        "filter",
        Plain(|_, v, a| {
            a.bind([])?;
            Ok(filters::find(&v.to_text()).is_some())
        }),
    ),
    (
        "test",
        Plain(|_, v, a| {
            a.bind([])?;
            Ok(find(&v.to_text()).is_some())
        }),
    ),
    ("truthy", Raw(|i, v, a| truthy(i, v, a, true))),
    ("falsy", Raw(|i, v, a| truthy(i, v, a, false))),
    ("all", Raw(|i, v, a| every(i, v, a, true))),
    ("any", Raw(|i, v, a| every(i, v, a, false))),
    ("subset", Plain(|_, v, a| sets::is_subset(&v, a))),
    ("issubset", Plain(|_, v, a| sets::is_subset(&v, a))),
    ("superset", Plain(|_, v, a| sets::is_superset(&v, a))),
    ("issuperset", Plain(|_, v, a| sets::is_superset(&v, a))),
    ("match", Plain(|_, v, a| regex(&v, a, MatchMode::Start))),
    ("search", Plain(|_, v, a| regex(&v, a, MatchMode::Anywhere))),
    ("regex", Plain(regex_test)),
    ("version", Plain(versions::test)),
    ("version_compare", Plain(versions::test)),
    ("failed", Raw(|i, v, a| result(i, v, a, "failed", |failed, _| failed))),
    ("failure", Raw(|i, v, a| result(i, v, a, "failed", |failed, _| failed))),
    ("succeeded", Raw(|i, v, a| result(i, v, a, "failed", |failed, _| !failed))),
    ("success", Raw(|i, v, a| result(i, v, a, "failed", |failed, _| !failed))),
    ("successful", Raw(|i, v, a| result(i, v, a, "failed", |failed, _| !failed))),
    ("changed", Raw(|i, v, a| result(i, v, a, "changed", |flag, any| flag || any))),
    ("change", Raw(|i, v, a| result(i, v, a, "changed", |flag, any| flag || any))),
    ("skipped", Raw(|i, v, a| result(i, v, a, "skipped", |flag, _| flag))),
    ("skip", Raw(|i, v, a| result(i, v, a, "skipped", |flag, _| flag))),
    ("unreachable", Raw(|i, v, a| result(i, v, a, "unreachable", |flag, _| flag))),
    ("reachable", Raw(|i, v, a| result(i, v, a, "unreachable", |flag, _| !flag))),
    ("timedout", Raw(|i, v, a| result(i, v, a, "timedout", |flag, _| flag))),
    ("started", Raw(|i, v, a| result(i, v, a, "started", |flag, _| flag))),
    ("finished", Raw(|i, v, a| result(i, v, a, "finished", |flag, _| flag))),
    ("exists", Plain(|_, v, a| path(&v, a, |p| p.exists()))),
    ("file", Plain(|_, v, a| path(&v, a, |p| p.is_file()))),
    ("is_file", Plain(|_, v, a| path(&v, a, |p| p.is_file()))),
    ("directory", Plain(|_, v, a| path(&v, a, |p| p.is_dir()))),
    ("dir", Plain(|_, v, a| path(&v, a, |p| p.is_dir()))),
    ("is_dir", Plain(|_, v, a| path(&v, a, |p| p.is_dir()))),
    ("link", Plain(|_, v, a| path(&v, a, |p| p.is_symlink()))),
    ("is_link", Plain(|_, v, a| path(&v, a, |p| p.is_symlink()))),
    ("link_exists", Plain(|_, v, a| path(&v, a, |p| p.symlink_metadata().is_ok()))),
    ("abs", Plain(|_, v, a| path(&v, a, |p| p.is_absolute()))),
    ("is_abs", Plain(|_, v, a| path(&v, a, |p| p.is_absolute()))),
    ("mount", Plain(|_, v, a| path(&v, a, is_mount))),
    ("is_mount", Plain(|_, v, a| path(&v, a, is_mount))),
    ("same_file", Plain(same_file)),
    ("is_same_file", Plain(same_file)),
    ("uri", Plain(uri)),
    ("url", Plain(url)),
    ("urn", Plain(urn)),
    (
        "vault_encrypted",
        Raw(|_, v, a| {
            // A vault among variables is open already; it is the secrets that were locked.
            kind(v, a, |v| {
                matches!(v, V::Val(Value::Secret(_)))
                    || v.as_text().is_some_and(|t| t.starts_with("$ANSIBLE_VAULT;"))
            })
        }),
    ),
    (
        "vaulted_file",
        Plain(|_, v, a| path(&v, a, |p| std::fs::read(p).is_ok_and(|b| b.starts_with(b"$ANSIBLE_VAULT;")))),
    ),
    (
        "ipv4",
        Plain(|_, v, a| {
            a.bind([])?;
            Ok(v.to_text().parse::<std::net::Ipv4Addr>().is_ok())
        }),
    ),
    (
        "ipv6",
        Plain(|_, v, a| {
            a.bind([])?;
            Ok(v.to_text().parse::<std::net::Ipv6Addr>().is_ok())
        }),
    ),
];

static TESTS: LazyLock<HashMap<&'static str, (&'static str, &'static Test)>> =
    LazyLock::new(|| TABLE.iter().map(|(name, test)| (*name, (*name, test))).collect());

/// Finds a test by its short or full name.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static Test)> {
    TESTS.get(short_name(name)).copied()
}

/// Returns all names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TESTS.keys().copied().filter(|n| n.starts_with(char::is_alphabetic))
}

fn none(args: VArgs, answer: V) -> R<V> {
    args.bind([])?;
    Ok(answer)
}

/// A question about the type. A variable that does not exist has none; a member that does not exist is of no type, as
/// conditions about results take it. What is unknown is not known yet.
fn kind(v: V, args: VArgs, is: fn(&V) -> bool) -> R<V> {
    args.bind([])?;
    match &v {
        V::Undef(u) if u.is_member() => Ok(V::bool(false)),
        V::Undef(u) => Err(u.fail.clone()),
        V::Val(Value::Unknown(u)) => Ok(V::unknown(u)),
        v => Ok(V::bool(is(v))),
    }
}

fn is_sequence(v: &V) -> bool {
    v.is_list() || v.is_dict() || v.as_text().is_some() || matches!(v, V::Tuple(_))
}

fn is_callable(v: &V) -> bool {
    match v {
        V::Obj(o) => matches!(
            &**o,
            Obj::Macro(_)
                | Obj::Function(_)
                | Obj::Method(..)
                | Obj::Super(..)
                | Obj::Joiner(..)
                | Obj::Loop(_)
        ),
        _ => false,
    }
}

fn same_as(_: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [other] = args.bind(["other"])?;
    let other = need(other, "other")?;
    if let Some(u) = v.as_unknown().or(other.as_unknown()) {
        return Ok(V::unknown(u));
    }
    Ok(V::bool(same(&v, &other)))
}

fn compare(interp: &mut Interp<'_>, op: CompareOp, v: V, args: VArgs) -> R<V> {
    let [other] = args.bind(["other"])?;
    interp.compare(op, &v, &need(other, "other")?).map(truth_value)
}

fn contains(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [item] = args.bind(["value"])?;
    interp.compare(CompareOp::In, &need(item, "value")?, &v).map(truth_value)
}

fn remainder(v: &Value, _: [Option<Value>; 0], by: i128) -> R<f64> {
    match math(super::ir::MathOp::Rem, v, &Value::Int(by))? {
        Value::Int(i) => Ok(i as f64),
        Value::Float(f) => Ok(f),
        other => Err(Fail::failed(format!("expected a number, got '{}'", other.type_name()))),
    }
}

fn divisible(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [by] = args.bind(["num"])?;
    let rest = math(super::ir::MathOp::Rem, &v, &need(by, "num")?)?;
    Ok(Num::of(&rest).is_some_and(|n| n.float() == 0.0))
}

fn cased(v: &Value, args: ValueArgs, want: fn(char) -> bool, avoid: fn(char) -> bool) -> R<bool> {
    args.bind([])?;
    let text = v.to_text();
    Ok(text.chars().any(want) && !text.chars().any(avoid))
}

fn truthy(interp: &mut Interp<'_>, v: V, args: VArgs, wanted: bool) -> R<V> {
    let [convert] = args.bind(["convert_bool"])?;
    let convert = match convert {
        Some(c) => interp.is_true(&c)?,
        None => false,
    };
    if convert
        && let V::Val(value) = &v
        && let Some(b) = to_bool(value)
    {
        return Ok(V::bool(b == wanted));
    }
    Ok(truth_value(match interp.truth(&v)? {
        Truth::Unknown(u) => Truth::Unknown(u),
        truth => Truth::from((truth == Truth::True) == wanted),
    }))
}

fn every(interp: &mut Interp<'_>, v: V, args: VArgs, all: bool) -> R<V> {
    args.bind([])?;
    if let Some(u) = v.as_unknown() {
        return Ok(V::unknown(u));
    }
    let mut answer = Truth::from(all);
    for item in interp.items(&v)? {
        match interp.truth(&item)? {
            Truth::Unknown(u) => answer = Truth::Unknown(u),
            truth if (truth == Truth::True) != all => return Ok(V::bool(!all)),
            _ => {}
        }
    }
    Ok(truth_value(answer))
}

fn regex(v: &Value, args: ValueArgs, mode: MatchMode) -> R<bool> {
    let [pattern, ignorecase, multiline] = args.bind(["pattern", "ignorecase", "multiline"])?;
    let Some(text) = text_of(v) else {
        return matches(&need(pattern, "pattern")?.to_text(), &v.to_text(), mode, false, false);
    };
    matches(
        &need(pattern, "pattern")?.to_text(),
        text,
        mode,
        flag_or(ignorecase, false),
        flag_or(multiline, false),
    )
}

fn regex_test(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [pattern, ignorecase, multiline, kind] =
        args.bind(["pattern", "ignorecase", "multiline", "match_type"])?;
    let mode = match text_or(kind, "search").as_str() {
        "search" => MatchMode::Anywhere,
        "match" => MatchMode::Start,
        "fullmatch" => MatchMode::Whole,
        other => {
            return Err(Fail::failed(format!("unknown match_type '{other}': search, match or fullmatch")));
        }
    };
    let pattern = need(pattern, "pattern")?.to_text();
    matches(&pattern, &v.to_text(), mode, flag_or(ignorecase, false), flag_or(multiline, false))
}

/// A question about a registered result; an absent member counts as false.
fn result(interp: &mut Interp<'_>, v: V, args: VArgs, member: &str, answer: fn(bool, bool) -> bool) -> R<V> {
    args.bind([])?;
    match &v {
        V::Undef(u) => return Err(u.fail.clone()),
        V::Val(Value::Unknown(u)) => return Ok(V::unknown(u)),
        v if !v.is_dict() => {
            return Err(Fail::failed(format!(
                "the '{member}' test expects a dictionary, got '{}'",
                v.type_name()
            )));
        }
        _ => {}
    }
    let flag = |interp: &mut Interp<'_>, v: &V| -> R<Truth> {
        match interp.member(v, &Key::from(member))? {
            // What never was a job has begun and ended, as in Ansible.
            None => Ok(Truth::from(matches!(member, "finished" | "started"))),
            Some(V::Val(Value::Int(i))) => Ok(Truth::from(i != 0)),
            Some(found) => interp.truth(&found),
        }
    };
    let own = match flag(interp, &v)? {
        Truth::Unknown(u) => return Ok(V::unknown(&u)),
        truth => truth == Truth::True,
    };
    let mut any = false;
    if member == "changed"
        && interp.member(&v, &Key::from("changed"))?.is_none()
        && let Some(results) = interp.member(&v, &Key::from("results"))?
        && results.is_list()
    {
        for item in interp.items(&results)? {
            if item.is_dict() && flag(interp, &item)? == Truth::True {
                any = true;
            }
        }
    }
    Ok(V::bool(answer(own, any)))
}

fn path(v: &Value, args: ValueArgs, is: fn(&std::path::Path) -> bool) -> R<bool> {
    args.bind([])?;
    Ok(is(std::path::Path::new(&v.to_text())))
}

fn is_mount(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(parent)) = (path.symlink_metadata(), path.join("..").metadata()) else { return false };
    !own.is_symlink() && (own.dev() != parent.dev() || own.ino() == parent.ino())
}

fn same_file(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    use std::os::unix::fs::MetadataExt;
    let [other] = args.bind(["other"])?;
    let stat = |v: &Value| {
        let text = v.to_text();
        std::fs::metadata(&text).map_err(|e| Fail::failed(format!("cannot look at '{text}': {e}")))
    };
    let (a, b) = (stat(&v)?, stat(&need(other, "other")?)?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// The parts of a text that can be read as a URI: any text can. As Ansible, a scheme counts only when a list is given.
fn uri_parts(v: &Value, schemes: Option<&Value>) -> Option<Map> {
    let parts = match v {
        Value::Str(_) | Value::Secret(_) => split_url(&v.to_text()),
        _ => return None,
    };
    let scheme = parts.get("scheme").map(Value::to_text).unwrap_or_default();
    let fits = match schemes {
        None | Some(Value::Null) => true,
        Some(Value::List(list)) => list.is_empty() || list.iter().any(|s| s.to_text() == scheme),
        Some(text) => text.to_text().contains(&scheme),
    };
    fits.then_some(parts)
}

fn uri(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [schemes] = args.bind(["schemes"])?;
    Ok(uri_parts(&v, schemes.as_ref()).is_some())
}

fn url(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [schemes] = args.bind(["schemes"])?;
    Ok(uri_parts(&v, schemes.as_ref()).is_some_and(|parts| {
        parts.get("netloc").is_some_and(Value::is_truthy)
            || parts.get("scheme").is_some_and(|scheme| scheme.as_str() == Some("file"))
    }))
}

fn urn(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<bool> {
    let [] = args.bind([])?;
    Ok(uri_parts(&v, Some(&Value::list(vec!["urn".into()]))).is_some())
}
