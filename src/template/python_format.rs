//! Python's two ways to format: `"%s" % x` and `"{}".format(x)`.

use super::args::{MAX_SIZE, ValueArgs};
use super::error::{Fail, R};
use super::ops::Num;
use crate::value::{Key, Value, float_repr};

/// `format % args`, where `many` holds the members of a tuple.
pub(super) fn percent(format: &str, many: Option<&[Value]>, single: &Value) -> R<String> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut next = 0;
    let mut used_mapping = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut name = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            let mut text = String::new();
            let mut depth = 1;
            for c in chars.by_ref() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                text.push(c);
            }
            name = Some(text);
        }
        let mut spec = Spec::default();
        while let Some(c) = chars.peek().copied() {
            match c {
                '-' => spec.align = Some('<'),
                '+' => spec.sign = '+',
                ' ' if spec.sign != '+' => spec.sign = ' ',
                ' ' => {}
                '0' => spec.zero = true,
                '#' => spec.alternate = true,
                _ => break,
            }
            chars.next();
        }
        let take = |next: &mut usize| -> R<Value> {
            let value = match many {
                Some(items) => items.get(*next).cloned(),
                None => (*next == 0).then(|| single.clone()),
            };
            *next += 1;
            value.ok_or_else(|| Fail::failed("not enough arguments for format string"))
        };
        if chars.peek() == Some(&'*') {
            chars.next();
            let width = super::args::int(&take(&mut next)?, "width")?;
            if width < 0 {
                spec.align = Some('<');
            }
            spec.width = limit(width.unsigned_abs() as usize)?;
        } else {
            spec.width = limit(number(&mut chars).unwrap_or(0))?;
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            if chars.peek() == Some(&'*') {
                chars.next();
                let precision = super::args::int(&take(&mut next)?, "precision")?;
                spec.precision = Some(limit(usize::try_from(precision).unwrap_or(0))?);
            } else {
                spec.precision = Some(limit(number(&mut chars).unwrap_or(0))?);
            }
        }
        while matches!(chars.peek(), Some('h' | 'l' | 'L')) {
            chars.next();
        }
        let Some(kind) = chars.next() else { return Err(Fail::failed("incomplete format")) };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match &name {
            Some(name) => {
                used_mapping = true;
                match single.as_map().or_else(|| many.and_then(|m| m.first()?.as_map())) {
                    Some(map) => {
                        map.get(name).cloned().ok_or_else(|| Fail::failed(format!("KeyError: '{name}'")))?
                    }
                    None => return Err(Fail::failed("format requires a mapping")),
                }
            }
            None => take(&mut next)?,
        };
        out.push_str(&percent_one(kind, &spec, &value)?);
    }
    let given = match many {
        Some(items) => items.len(),
        // A mapping or list alone need not be used.
        None => usize::from(!matches!(single, Value::Map(_) | Value::List(_))),
    };
    if !used_mapping && next < given {
        return Err(Fail::failed("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn percent_one(kind: char, spec: &Spec, value: &Value) -> R<String> {
    let right = Spec { align: Some(spec.align.unwrap_or('>')), ..spec.clone() };
    match kind {
        's' | 'r' | 'a' => {
            let mut text = if kind == 's' { value.to_text() } else { value.repr() };
            if let Some(precision) = spec.precision {
                text = text.chars().take(precision).collect();
            }
            Ok(fill(&text, &Spec { zero: false, ..right }, '>'))
        }
        'c' => match value {
            Value::Int(i) => {
                let c = u32::try_from(*i).ok().and_then(char::from_u32);
                c.map(|c| fill(&c.to_string(), &right, '>'))
                    .ok_or_else(|| Fail::failed("%c arg not in range"))
            }
            other => Ok(fill(&other.to_text(), &right, '>')),
        },
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let number = match Num::of(value) {
                Some(Num::Int(i)) => i,
                Some(Num::Float(f)) if "diu".contains(kind) => f.trunc() as i128,
                _ => {
                    return Err(Fail::failed(format!(
                        "%{kind} format: a real number is required, not {}",
                        value.type_name()
                    )));
                }
            };
            let kind = if "iu".contains(kind) { 'd' } else { kind };
            let mut digits = int_digits(number.unsigned_abs(), kind);
            if let Some(precision) = spec.precision {
                digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
            }
            Ok(signed(number < 0, &prefixed(kind, spec.alternate, digits), spec, '>'))
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
            let Some(number) = Num::of(value) else {
                return Err(Fail::failed(format!("must be real number, not {}", value.type_name())));
            };
            let f = number.float();
            let digits = float_digits(f.abs(), kind, spec.precision, spec.alternate);
            Ok(signed(f.is_sign_negative() && !f.is_nan(), &digits, spec, '>'))
        }
        other => Err(Fail::failed(format!("unsupported format character '{other}'"))),
    }
}

/// `text.format(...)`.
pub(super) fn format(text: &str, args: &ValueArgs) -> R<String> {
    let mut auto = 0;
    format_with(text, args, &mut auto, 2)
}

fn format_with(text: &str, args: &ValueArgs, auto: &mut usize, depth: usize) -> R<String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
                out.push('{');
            }
            '}' if chars.peek() == Some(&'}') => {
                chars.next();
                out.push('}');
            }
            '}' => return Err(Fail::failed("Single '}' encountered in format string")),
            '{' => {
                let mut field = String::new();
                let mut open = 1;
                for c in chars.by_ref() {
                    match c {
                        '{' => open += 1,
                        '}' => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        break;
                    }
                    field.push(c);
                }
                if open != 0 {
                    return Err(Fail::failed("expected '}' before end of string"));
                }
                out.push_str(&replacement(&field, args, auto, depth)?);
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

fn replacement(field: &str, args: &ValueArgs, auto: &mut usize, depth: usize) -> R<String> {
    if depth == 0 {
        return Err(Fail::failed("Max string recursion exceeded"));
    }
    // The name ends at the first `:` or `!` outside of brackets.
    let mut bracket = false;
    let end = field.char_indices().find(|(_, c)| {
        match c {
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
        !bracket && (*c == ':' || *c == '!')
    });
    let (path, rest) = field.split_at(end.map_or(field.len(), |(i, _)| i));
    let (conversion, spec) = match rest.strip_prefix('!') {
        Some(r) => (r.chars().next(), r.split_once(':').map_or("", |(_, s)| s)),
        None => (None, rest.strip_prefix(':').unwrap_or("")),
    };
    let mut value = lookup(path, args, auto)?;
    value = match conversion {
        Some('r' | 'a') => Value::str(value.repr()),
        Some('s') => Value::str(value.to_text()),
        None => value,
        Some(other) => return Err(Fail::failed(format!("unknown conversion specifier '{other}'"))),
    };
    let spec = format_with(spec, args, auto, depth - 1)?;
    format_value(&value, &spec)
}

fn lookup(path: &str, args: &ValueArgs, auto: &mut usize) -> R<Value> {
    let first_end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(first_end);
    let missing = || Fail::failed("Replacement index out of range for positional args tuple");
    let mut value = if first.is_empty() {
        *auto += 1;
        args.pos.get(*auto - 1).cloned().ok_or_else(missing)?
    } else if let Ok(i) = first.parse::<usize>() {
        args.pos.get(i).cloned().ok_or_else(missing)?
    } else {
        let found = args.named.iter().find(|(n, _)| &**n == first);
        found.map(|(_, v)| v.clone()).ok_or_else(|| Fail::failed(format!("KeyError: '{first}'")))?
    };
    while !rest.is_empty() {
        let (step, tail) = if let Some(r) = rest.strip_prefix('[') {
            r.split_once(']').ok_or_else(|| Fail::failed("Missing ']' in format string"))?
        } else if let Some(r) = rest.strip_prefix('.') {
            r.split_at(r.find(['.', '[']).unwrap_or(r.len()))
        } else {
            return Err(Fail::failed("Only '.' or '[' may follow ']' in format field specifier"));
        };
        value = match (&value, step.parse::<usize>()) {
            (Value::List(items), Ok(i)) => items.get(i).cloned(),
            (Value::Map(map), number) => {
                map.get(step).or_else(|| number.ok().and_then(|i| map.get_key(&Key::Int(i as i128)))).cloned()
            }
            _ => None,
        }
        .ok_or_else(|| Fail::failed(format!("KeyError: '{step}'")))?;
        rest = tail;
    }
    Ok(value)
}

#[derive(Clone, Debug, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: char,
    alternate: bool,
    zero: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

fn parse_spec(spec: &str) -> R<Spec> {
    let chars: Vec<char> = spec.chars().collect();
    let mut out = Spec { sign: '-', ..Spec::default() };
    let mut i = 0;
    let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '=' | '^'));
    if is_align(chars.get(1)) {
        out.fill = chars.first().copied();
        out.align = chars.get(1).copied();
        i = 2;
    } else if is_align(chars.first()) {
        out.align = chars.first().copied();
        i = 1;
    }
    if let Some(c) = chars.get(i).filter(|c| "+- ".contains(**c)) {
        out.sign = *c;
        i += 1;
    }
    if chars.get(i) == Some(&'#') {
        out.alternate = true;
        i += 1;
    }
    if chars.get(i) == Some(&'0') {
        out.zero = true;
        i += 1;
    }
    let mut rest = chars[i..].iter().copied().peekable();
    out.width = limit(number(&mut rest).unwrap_or(0))?;
    if let Some(c) = rest.next_if(|c| *c == ',' || *c == '_') {
        out.group = Some(c);
    }
    if rest.next_if(|c| *c == '.').is_some() {
        match number(&mut rest) {
            Some(n) => out.precision = Some(limit(n)?),
            None => return Err(Fail::failed("Format specifier missing precision")),
        }
    }
    out.kind = rest.next();
    if rest.next().is_some() {
        return Err(Fail::failed("Invalid format specifier"));
    }
    Ok(out)
}

fn format_value(value: &Value, spec_text: &str) -> R<String> {
    if spec_text.is_empty() {
        return Ok(value.to_text());
    }
    let spec = parse_spec(spec_text)?;
    let wrong = |kind: char| {
        Fail::failed(format!("Unknown format code '{kind}' for object of type '{}'", value.type_name()))
    };
    match value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
        Value::Str(text) => {
            if let Some(kind) = spec.kind.filter(|k| *k != 's') {
                return Err(wrong(kind));
            }
            let text: String = match spec.precision {
                Some(p) => text.chars().take(p).collect(),
                None => text.to_string(),
            };
            return Ok(fill(&text, &spec, '<'));
        }
        other => {
            return Err(Fail::failed(format!(
                "unsupported format string passed to {}.__format__",
                other.type_name()
            )));
        }
    }
    let number = Num::of(value).unwrap_or(Num::Int(0));
    let kind = spec.kind.unwrap_or(match number {
        Num::Int(_) => 'd',
        Num::Float(_) => 'r',
    });
    let (negative, digits) = match (kind, number) {
        ('d' | 'n' | 'x' | 'X' | 'o' | 'b', Num::Int(i)) => {
            let kind = if kind == 'n' { 'd' } else { kind };
            let digits = group(&int_digits(i.unsigned_abs(), kind), spec.group);
            (i < 0, prefixed(kind, spec.alternate, digits))
        }
        ('c', Num::Int(i)) => {
            let c = u32::try_from(i).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| Fail::failed("%c arg not in range"))?;
            return Ok(fill(&c.to_string(), &spec, '<'));
        }
        ('%', n) => {
            let f = n.float() * 100.0;
            (f < 0.0, format!("{:.*}%", spec.precision.unwrap_or(6), f.abs()))
        }
        ('r', n) => {
            let f = n.float();
            let digits = match spec.precision {
                Some(p) => float_digits(f.abs(), 'g', Some(p), spec.alternate),
                None => float_repr(f.abs()),
            };
            (f.is_sign_negative(), group(&digits, spec.group))
        }
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', n) => {
            let f = n.float();
            let digits = float_digits(f.abs(), kind, spec.precision, spec.alternate);
            (f.is_sign_negative() && !f.is_nan(), group(&digits, spec.group))
        }
        (kind, _) => return Err(wrong(kind)),
    };
    Ok(signed(negative, &digits, &spec, '>'))
}

/// Adds separators to the digits before the point.
fn group(digits: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else { return digits.to_string() };
    let (whole, rest) = digits.split_at(digits.find(['.', 'e', 'E']).unwrap_or(digits.len()));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(c);
    }
    out + rest
}

fn int_digits(n: u128, kind: char) -> String {
    match kind {
        'x' => format!("{n:x}"),
        'X' => format!("{n:X}"),
        'o' => format!("{n:o}"),
        'b' => format!("{n:b}"),
        _ => n.to_string(),
    }
}

fn prefixed(kind: char, alternate: bool, digits: String) -> String {
    match (alternate, kind) {
        (true, 'x' | 'X' | 'o' | 'b') => format!("0{kind}{digits}"),
        _ => digits,
    }
}

/// Returns the digits of a number that is not negative, as C's `printf` writes them.
fn float_digits(f: f64, kind: char, precision: Option<usize>, alternate: bool) -> String {
    let upper = kind.is_ascii_uppercase();
    let text = if f.is_nan() {
        "nan".to_string()
    } else if f.is_infinite() {
        "inf".to_string()
    } else {
        let precision = precision.unwrap_or(6).min(400);
        match kind.to_ascii_lowercase() {
            'f' => format!("{f:.precision$}"),
            'e' => exponent(f, precision),
            _ => general(f, precision.max(1), alternate),
        }
    };
    if upper { text.to_uppercase() } else { text }
}

fn exponent(f: f64, precision: usize) -> String {
    let text = format!("{f:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn general(f: f64, precision: usize, alternate: bool) -> String {
    let scientific = exponent(f, precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let text = if power < -4 || power >= precision as i32 {
        scientific
    } else {
        let decimals = (precision as i32 - 1 - power).max(0) as usize;
        format!("{f:.decimals$}")
    };
    if alternate {
        return text;
    }
    match text.split_once('e') {
        Some((mantissa, e)) if mantissa.contains('.') => {
            format!("{}e{e}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        None if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        _ => text,
    }
}

/// Puts the sign in front and fills to the width.
fn signed(negative: bool, digits: &str, spec: &Spec, default: char) -> String {
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        _ => "",
    };
    let len = sign.len() + digits.chars().count();
    let zeros = spec.zero && spec.align.is_none() || spec.align == Some('=');
    if zeros && len < spec.width {
        let c = if spec.align == Some('=') && !spec.zero { spec.fill.unwrap_or(' ') } else { '0' };
        let padding: String = std::iter::repeat_n(c, spec.width - len).collect();
        return format!("{sign}{padding}{digits}");
    }
    fill(&format!("{sign}{digits}"), &Spec { zero: false, ..spec.clone() }, default)
}

fn fill(text: &str, spec: &Spec, default: char) -> String {
    let len = text.chars().count();
    if len >= spec.width {
        return text.to_string();
    }
    let c = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    let missing = spec.width - len;
    let pad = |n: usize| std::iter::repeat_n(c, n).collect::<String>();
    match spec.align.unwrap_or(default) {
        '<' => text.to_string() + &pad(missing),
        '^' => pad(missing / 2) + text + &pad(missing - missing / 2),
        _ => pad(missing) + text,
    }
}

fn number(chars: &mut std::iter::Peekable<impl Iterator<Item = char>>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        digits.push(c);
    }
    if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }
}

fn limit(n: usize) -> R<usize> {
    if n > MAX_SIZE { Err(Fail::failed("width or precision is too large")) } else { Ok(n) }
}
