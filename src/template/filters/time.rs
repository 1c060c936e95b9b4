//! Times: `to_datetime`, `strftime`, and what `now()` and differences of times can do.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::Filter::{self, Plain, Raw};
use crate::template::args::{VArgs, ValueArgs, flag_or, need, text_or};
use crate::template::error::{Fail, R};
use crate::template::interp::Interp;
use crate::template::ir::MathOp;
use crate::template::ops::Num;
use crate::template::runtime::{Obj, V};
use crate::value::Value;

pub(super) const TABLE: &[(&str, Filter)] =
    &[("strftime", Plain(strftime_filter)), ("to_datetime", Raw(to_datetime))];

/// Methods of times and of differences.
pub(in crate::template) const METHODS: &[&str] = &[
    "strftime",
    "isoformat",
    "timestamp",
    "date",
    "weekday",
    "isoweekday",
    "replace",
    "total_seconds",
    "timetuple",
];

/// Formats a time as Python's `strftime`.
pub(in crate::template) fn strftime(time: &Zoned, format: &str) -> R<String> {
    // `%f` is microseconds in Python, fractions in jiff.
    let format = format.replace("%f", &format!("{:06}", time.subsec_nanosecond() / 1000));
    strtime::format(&format, time).map_err(|e| Fail::failed(format!("invalid time format '{format}': {e}")))
}

fn strftime_filter(_: &mut Interp<'_>, v: Value, args: ValueArgs) -> R<Value> {
    let [second, utc] = args.bind(["second", "utc"])?;
    let zone = if flag_or(utc, false) { TimeZone::UTC } else { TimeZone::system() };
    let time = match second {
        None | Some(Value::Null) => Timestamp::now(),
        Some(second) => {
            let bad = || Fail::failed(format!("Invalid value for epoch value ({})", second.to_text()));
            let seconds = match Num::of(&second) {
                Some(n) => n.float(),
                None => super::convert::parse_float(&second.to_text()).ok_or_else(bad)?,
            };
            Timestamp::from_microsecond((seconds * 1e6).round() as i64).map_err(|_| bad())?
        }
    };
    strftime(&time.to_zoned(zone), &v.to_text()).map(Value::str)
}

fn to_datetime(interp: &mut Interp<'_>, v: V, args: VArgs) -> R<V> {
    let [format] = args.bind(["format"])?;
    if let Some(u) = v.as_unknown() {
        return Ok(V::unknown(u));
    }
    let text = interp.value(&v)?.to_text();
    let format = match format {
        Some(f) => text_or(Some(interp.value(&f)?), ""),
        None => "%Y-%m-%d %H:%M:%S".to_string(),
    };
    // `%f` without the point is what Python calls the digits behind it.
    let adapted = format.replace(".%f", "%.f");
    let parsed = strtime::parse(&adapted, &text)
        .map_err(|_| Fail::failed(format!("time data '{text}' does not match format '{format}'")))?;
    let offset = parsed.offset();
    let date = parsed.to_date();
    let time = parsed.to_time().unwrap_or_default();
    match date {
        Ok(date) => Ok(V::obj(Obj::Time(date.to_datetime(time), offset))),
        Err(_) => Ok(V::obj(Obj::Time(jiff::civil::date(1900, 1, 1).to_datetime(time), offset))),
    }
}

fn micros(time: &DateTime, offset: Option<jiff::tz::Offset>) -> i128 {
    let zone = offset.map_or(TimeZone::UTC, TimeZone::fixed);
    time.to_zoned(zone).map_or(0, |z| i128::from(z.timestamp().as_microsecond()))
}

/// Arithmetic with times; nothing where no time is involved.
pub(in crate::template) fn math(op: MathOp, left: &V, right: &V) -> Option<V> {
    let (V::Obj(a), V::Obj(b)) = (left, right) else { return None };
    match (op, &**a, &**b) {
        (MathOp::Sub, Obj::Time(a, x), Obj::Time(b, y)) => {
            Some(V::obj(Obj::Span(micros(a, *x) - micros(b, *y))))
        }
        (MathOp::Add, Obj::Span(a), Obj::Span(b)) => Some(V::obj(Obj::Span(a + b))),
        (MathOp::Sub, Obj::Span(a), Obj::Span(b)) => Some(V::obj(Obj::Span(a - b))),
        (MathOp::Add | MathOp::Sub, Obj::Time(t, o), Obj::Span(s)) => {
            let s = i64::try_from(if op == MathOp::Add { *s } else { -s }).ok()?;
            let moved = t.checked_add(jiff::SignedDuration::from_micros(s)).ok()?;
            Some(V::obj(Obj::Time(moved, *o)))
        }
        _ => None,
    }
}

/// Returns Python's `str()`.
pub(in crate::template) fn text(o: &Obj) -> String {
    use std::fmt::Write;
    match o {
        Obj::Time(t, offset) => {
            let mut out: String = t.strftime("%Y-%m-%d %H:%M:%S").to_string();
            let micros = t.subsec_nanosecond() / 1000;
            if micros > 0 {
                let _ = write!(out, ".{micros:06}");
            }
            if let Some(offset) = offset {
                let s = offset.seconds();
                let sign = if s < 0 { '-' } else { '+' };
                let _ = write!(out, "{sign}{:02}:{:02}", s.abs() / 3600, s.abs() / 60 % 60);
            }
            out
        }
        Obj::Span(micros) => {
            let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
            let seconds = rest / 1_000_000;
            let mut out = match days {
                0 => String::new(),
                1 | -1 => format!("{days} day, "),
                _ => format!("{days} days, "),
            };
            let _ = write!(out, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            if rest % 1_000_000 > 0 {
                let _ = write!(out, ".{:06}", rest % 1_000_000);
            }
            out
        }
        _ => String::new(),
    }
}

const DAY: i128 = 86_400_000_000;

/// Returns an attribute of a time or a difference.
pub(in crate::template) fn attr(o: &Obj, name: &str) -> Option<V> {
    let int = |i: i128| Some(V::Val(Value::Int(i)));
    match (o, name) {
        (Obj::Time(t, _), "year") => int(t.year().into()),
        (Obj::Time(t, _), "month") => int(t.month().into()),
        (Obj::Time(t, _), "day") => int(t.day().into()),
        (Obj::Time(t, _), "hour") => int(t.hour().into()),
        (Obj::Time(t, _), "minute") => int(t.minute().into()),
        (Obj::Time(t, _), "second") => int(t.second().into()),
        (Obj::Time(t, _), "microsecond") => int((t.subsec_nanosecond() / 1000).into()),
        (Obj::Span(m), "days") => int(m.div_euclid(DAY)),
        (Obj::Span(m), "seconds") => int(m.rem_euclid(DAY) / 1_000_000),
        (Obj::Span(m), "microseconds") => int(m.rem_euclid(1_000_000)),
        _ => None,
    }
}

/// Calls a method of a time or a difference.
pub(in crate::template) fn method(o: &Obj, name: &str, args: ValueArgs) -> R<V> {
    let no_such = || Fail::failed(format!("no method '{name}'"));
    match o {
        Obj::Span(micros) => match name {
            "total_seconds" => Ok(V::Val(Value::Float(*micros as f64 / 1e6))),
            _ => Err(no_such()),
        },
        Obj::Time(t, offset) => match name {
            "strftime" => {
                let [format] = args.bind(["format"])?;
                let format = need(format, "format")?.to_text();
                let zone = offset.map_or(TimeZone::UTC, TimeZone::fixed);
                let zoned = t.to_zoned(zone).map_err(|e| Fail::failed(e.to_string()))?;
                strftime(&zoned, &format).map(V::str)
            }
            "isoformat" => Ok(V::str(text(o).replacen(' ', "T", 1))),
            "timestamp" => {
                let zone = offset.map_or(TimeZone::system(), TimeZone::fixed);
                let zoned = t.to_zoned(zone).map_err(|e| Fail::failed(e.to_string()))?;
                Ok(V::Val(Value::Float(zoned.timestamp().as_microsecond() as f64 / 1e6)))
            }
            "date" => Ok(V::str(t.date().to_string())),
            "weekday" => Ok(V::Val(Value::Int(t.weekday().to_monday_zero_offset().into()))),
            "isoweekday" => Ok(V::Val(Value::Int(t.weekday().to_monday_one_offset().into()))),
            _ => Err(no_such()),
        },
        _ => Err(no_such()),
    }
}
