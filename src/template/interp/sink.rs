//! Collects what a template prints. One value alone keeps its type; more become text.

use super::Interp;
use crate::template::error::{Fail, R};
use crate::template::runtime::{V, holds_secret};
use crate::value::{Secret, Value};

#[derive(Default)]
pub(in crate::template) struct Sink {
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    One(V),
    Text {
        text: String,
        secret: bool,
    },
}

impl Sink {
    /// Adds literal text.
    pub fn push_text(&mut self, interp: &mut Interp<'_>, piece: &str) -> R<()> {
        if let State::Text { text, .. } = &mut self.state {
            text.push_str(piece);
            return Ok(());
        }
        self.push(interp, V::str(piece))
    }

    /// Adds the value of an expression. Nulls print as nothing. A container is taken as it is now: the template
    /// may change it later.
    pub fn push(&mut self, interp: &mut Interp<'_>, value: V) -> R<()> {
        let value = match value {
            V::Val(Value::Null) => return Ok(()),
            V::List(_) | V::Dict(_) | V::Tuple(_) => V::Val(interp.value(&value)?),
            other => other,
        };
        match std::mem::take(&mut self.state) {
            State::Empty => self.state = State::One(value),
            State::One(first) => {
                let (mut text, mut secret) = (String::new(), false);
                print(interp, &first, &mut text, &mut secret)?;
                print(interp, &value, &mut text, &mut secret)?;
                self.state = State::Text { text, secret };
            }
            State::Text { mut text, mut secret } => {
                print(interp, &value, &mut text, &mut secret)?;
                self.state = State::Text { text, secret };
            }
        }
        Ok(())
    }

    /// Returns the native value; null when nothing was printed. A text gets back the line breaks at the end that
    /// `template` has and parsing dropped.
    pub fn finish(self, template: &str) -> R<V> {
        let (mut text, secret) = match self.state {
            State::Empty => return Ok(V::null()),
            State::One(V::Val(Value::Str(s))) => (s.to_string(), false),
            State::One(V::Val(Value::Secret(s))) => (s.expose().to_string(), true),
            State::One(V::Undef(u)) => return Err(u.fail.clone()),
            State::One(v) => return Ok(v),
            State::Text { text, secret } => (text, secret),
        };
        let ends = |s: &str| s.len() - s.trim_end_matches('\n').len();
        for _ in ends(&text)..ends(template) {
            text.push('\n');
        }
        Ok(V::Val(if secret { Value::Secret(Secret::new(text)) } else { Value::str(text) }))
    }

    /// Returns the value of a macro call or a `set` block: native when single, an empty text when nothing was printed.
    pub fn value(self) -> V {
        match self.state {
            State::Empty => V::str(""),
            State::One(v) => v,
            State::Text { text, secret } => {
                V::Val(if secret { Value::Secret(Secret::new(text)) } else { Value::str(text) })
            }
        }
    }

    /// Returns everything as text.
    pub fn text(self, interp: &mut Interp<'_>) -> R<Value> {
        let (text, secret) = match self.state {
            State::Empty => (String::new(), false),
            State::One(v) => {
                let (mut text, mut secret) = (String::new(), false);
                print(interp, &v, &mut text, &mut secret)?;
                (text, secret)
            }
            State::Text { text, secret } => (text, secret),
        };
        Ok(if secret { Value::Secret(Secret::new(text)) } else { Value::str(text) })
    }
}

fn print(interp: &mut Interp<'_>, value: &V, out: &mut String, secret: &mut bool) -> R<()> {
    match value {
        V::Val(Value::Str(s)) => out.push_str(s),
        V::Undef(u) if u.soft => {}
        other => {
            let value = interp.value(other)?;
            if let Some(unknown) = value.find_unknown() {
                return Err(Fail::unknown(unknown.clone()));
            }
            *secret = *secret || holds_secret(&value);
            out.push_str(&value.to_text());
        }
    }
    Ok(())
}
