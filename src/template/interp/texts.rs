//! What a template's text is in the end: as it is, or the value whose notation it is. Only the settings decide.

use crate::template::Texts;
use crate::template::ir::{Kind, Program, Stmt};
use crate::template::runtime::V;
use crate::value::{TextKind, Value, literal};

/// Filters whose text stays text wherever it goes, in Ansible by the setting `string_type_filters`.
const TEXT_FILTERS: [&str; 7] =
    ["string", "to_json", "to_nice_json", "to_yaml", "to_nice_yaml", "ppretty", "json"];

/// Says of a text that a filter made whether it stays one wherever it goes.
pub(super) fn kept(filter: &str, made: V) -> V {
    match made {
        V::Val(Value::Str(text)) if TEXT_FILTERS.contains(&filter) => {
            V::Val(Value::Str(text.of_kind(TextKind::Kept)))
        }
        other => other,
    }
}

/// Reads the text that a template gave. A reference alone hands on what it refers to: that was read where it was made.
pub(super) fn read(how: Texts, program: &Program, made: V) -> V {
    if how == Texts::Kept {
        return made;
    }
    let variable = matches!(&program.body[..], [Stmt::Emit(node)] if matches!(node.kind, Kind::Var(_)));
    if how == Texts::Read && matches!(made, V::Val(Value::Null)) {
        // A variable alone is handed on as it is.
        return if variable { made } else { V::str("") };
    }
    if let [Stmt::Emit(node)] = &program.body[..]
        && matches!(node.kind, Kind::Var(_) | Kind::Attr(..) | Kind::Item(..))
    {
        return made;
    }
    match &made {
        V::Val(Value::Str(text)) if text.kind().is_kept() => made,
        V::Val(Value::Str(text)) => read_text(how, text).map_or(made, V::Val),
        _ => made,
    }
}

/// Returns the value whose notation a text is; nothing when it stays text.
pub(in crate::template) fn read_text(how: Texts, text: &str) -> Option<Value> {
    match how {
        Texts::Kept => None,
        Texts::Read => match text {
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            _ if text.starts_with(['{', '[']) => literal::parse_json_or_python(text),
            _ => None,
        },
        Texts::Native => match literal::parse(text)? {
            Value::Str(_) => None,
            value => Some(value),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_the_setting_says() {
        let check = |text: &str, how: Texts, expect: Option<&str>| {
            assert_eq!(read_text(how, text).map(|v| v.repr()).as_deref(), expect, "{text:?} {how:?}");
        };
        check("[1, 'a']", Texts::Kept, None);
        check("[1, 'a']", Texts::Read, Some("[1, 'a']"));
        check(r#"{"a": null, "b": [true, false]}"#, Texts::Read, Some("{'a': None, 'b': [True, False]}"));
        check("True", Texts::Read, Some("True"));
        check("true", Texts::Read, None);
        check("12", Texts::Read, None);
        check("[a]", Texts::Read, None);
        check("{{ x }}", Texts::Read, None);
        check("12", Texts::Native, Some("12"));
        check("'12'", Texts::Native, None);
        check("(1, 2)", Texts::Native, Some("[1, 2]"));
        check("null", Texts::Native, None);
    }
}
