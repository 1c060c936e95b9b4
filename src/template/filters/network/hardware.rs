//! MAC addresses.

use crate::template::args::{ValueArgs, text_or};
use crate::template::error::{Fail, R};
use crate::value::Value;

/// Reads a MAC address in one of the usual notations.
pub(super) fn parse(text: &str) -> Option<u64> {
    let joined = |parts: &[&str], least: usize, width: usize| {
        let mut number = 0u64;
        for part in parts {
            if part.len() < least || part.len() > width || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            number = number << (4 * width) | u64::from_str_radix(part, 16).ok()?;
        }
        Some(number)
    };
    for sign in [':', '-', '.'] {
        let parts: Vec<&str> = text.split(sign).collect();
        match parts.len() {
            6 if sign != '.' => return joined(&parts, 1, 2),
            3 => return joined(&parts, 1, 4),
            2 if sign != '.' => return joined(&parts, 5, 6),
            _ => {}
        }
    }
    joined(&[text], 11, 12)
}

pub(super) fn filter(v: Value, args: ValueArgs, alias: &str) -> R<Value> {
    let [query, other] = args.bind(["query", "alias"])?;
    let (query, alias) = (text_or(query, ""), text_or(other, alias));
    let text = v.to_text();
    let Some(mac) = parse(&text) else {
        if matches!(query.as_str(), "" | "bool") {
            return Ok(Value::Null);
        }
        return Err(Fail::failed(format!("{alias}: not a hardware address: {text}")));
    };
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    let hex = |upper: bool| -> Vec<String> {
        bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
    };
    let grouped = |size: usize, sign: &str| {
        hex(false).chunks(size).map(<[String]>::concat).collect::<Vec<_>>().join(sign)
    };
    Ok(match query.as_str() {
        "" => v,
        "bool" => Value::Bool(true),
        "int" => Value::from(mac),
        "bare" => Value::str(hex(true).concat()),
        "cisco" => Value::str(grouped(2, ".")),
        "eui48" | "win" => Value::str(hex(true).join("-")),
        "linux" => Value::str(hex(false).join(":")),
        "pgsql" | "postgresql" | "psql" => Value::str(grouped(3, ":")),
        "unix" => Value::str(bytes.iter().map(|b| format!("{b:x}")).collect::<Vec<_>>().join(":")),
        other => return Err(Fail::failed(format!("{alias}: unknown filter type: {other}"))),
    })
}
