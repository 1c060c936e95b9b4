//! `debconf`: answers to the questions of packages.

use crate::modules::sh::{Report, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Row, Rule, Seen,
    Thing, Touch, foreseen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "debconf",
    about: "Answers questions of packages of Debian and Ubuntu before they are asked.",
    args: &[
        ArgSpec::new("name", ArgKind::Str, "The package.").required().aliases(&["pkg"]),
        ArgSpec::new("question", ArgKind::Str, "The question.").aliases(&["selection", "setting"]),
        ArgSpec::new("vtype", ArgKind::Str, "The kind of answer.").choices(&[
            "boolean",
            "error",
            "multiselect",
            "note",
            "password",
            "seen",
            "select",
            "string",
            "text",
            "title",
        ]),
        ArgSpec::new("value", ArgKind::Raw, "The answer.").aliases(&["answer"]),
        ArgSpec::new("unseen", ArgKind::Bool, "Leave it to be asked.").default("no"),
    ],
    rules: &[Rule::Together(&["question", "vtype", "value"])],
    returns: &[
        ("current", "the answers now"),
        ("previous", "the answers before a change"),
        ("msg", "what the tool said"),
    ],
    ..ModuleSpec::BASE
};

/// What earlier steps of a plan answer: a package and a question.
const KIND: &str = "debconf";

pub struct Debconf;

impl Module for Debconf {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let name = q(call.args.str("name").unwrap_or_default());
        let mut script = format!(
            "command -v debconf-show >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"debconf-show\" on the target'\n\
             xp_o=$(debconf-show {name} </dev/null) || exit 1\nprintf '%s\\n' \"$xp_o\" | sed 's/^/answer /'\n"
        );
        if call.args.str("vtype") == Some("password") {
            add!(
                script,
                "command -v debconf-get-selections >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"debconf-get-selections\" on the target (package debconf-utils)'\n\
                 debconf-get-selections 2>/dev/null </dev/null | grep -F {name} | sed 's/^/own /'\n:\n"
            );
        }
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let mut answers: Map = report
            .all("answer")
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim_matches('*').trim().to_string(), Value::str(value.trim())))
            .collect();
        let name = args.str("name").unwrap_or_default();
        // What earlier steps of a plan answer.
        for (key, row) in call.world.rows(KIND) {
            if let (Some(question), Some(row)) = (key.strip_prefix(&format!("{name} ")), row) {
                answers.insert(question, shown(&row));
            }
        }
        let mut result = Map::from_iter([("msg", "")]);
        let Some(question) = args.str("question") else {
            result.insert("current", answers);
            return Ok(Prediction::same(result));
        };
        let vtype = args.str("vtype").unwrap_or_default();
        let value = answer(args, vtype)?;
        let thing = Thing { kind: KIND, name: format!("{name} {question}") };
        let existing = match foreseen(call.world.row(&thing))?.flatten() {
            Some(row) => Some(compared(args, vtype, row.get("value").map_or("", String::as_str))),
            None => answers
                .get(question)
                .map(|existing| existing_answer(args, &report, vtype, &existing.to_text())),
        };
        if existing.as_ref() == Some(&value) {
            result.insert("current", answers);
            return Ok(Prediction::same(result));
        }
        let before = answers.get(question).cloned().unwrap_or_else(|| Value::str(""));
        let mut previous = match answers.contains(question) {
            true => Map::new(),
            false => answers,
        };
        previous.insert(question, before.clone());
        let text = match &value {
            Value::List(items) => items.iter().map(Value::to_text).collect::<Vec<_>>().join(", "),
            other => other.to_text(),
        };
        result.insert("current", Map::from_iter([(question, Value::str(&*text))]));
        result.insert("previous", previous);
        let option = if args.flag("unseen") { " -u" } else { "" };
        let line = format!("{name} {question} {vtype} {text}");
        let script = format!("printf '%s' {} | debconf-set-selections{option}\n", q(&line));
        let side = |value: Value| Map::from_iter([(question, value)]);
        let pairs = [("type", vtype.to_string()), ("value", text.clone())];
        let row = Row::from(pairs.map(|(key, value)| (key.to_string(), value)));
        Ok(Prediction::change(result, vec![Action::run(script)])
            .touch(Touch::Row { thing, row: Some(row) })
            .diff(attr_diff(name, side(before), side(Value::str(text)))))
    }

    fn finish(&self, _: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        if let Some(output) = ran.first() {
            if output.rc != 0 {
                return Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim().to_string()));
            }
            prediction.result.insert("msg", String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Ok(prediction.into_outcome())
    }
}

/// Returns the wanted answer in the form in which it is compared.
fn answer(args: &Args, vtype: &str) -> Result<Value, Failure> {
    let value = args.get("value").cloned().unwrap_or_default();
    match (&value, vtype) {
        (_, "boolean") => Ok(Value::str(value.to_text().to_lowercase())),
        (Value::List(items), "multiselect") => {
            if items.iter().any(|item| item.as_str().is_none()) {
                return Err(Failure::new(
                    "Invalid value provided for 'multiselect': all items of the list must be text",
                ));
            }
            let mut texts: Vec<String> = items.iter().map(Value::to_text).collect();
            texts.sort();
            Ok(Value::from(texts))
        }
        (Value::Secret(secret), _) => Ok(Value::str(secret.expose())),
        _ => Ok(Value::str(value.to_text())),
    }
}

/// Returns an answer as the tool shows it.
fn shown(row: &Row) -> Value {
    let member = |name: &str| row.get(name).map_or("", String::as_str);
    Value::str(if member("type") == "password" { "(password omitted)" } else { member("value") })
}

fn existing_answer(args: &Args, report: &Report, vtype: &str, shown: &str) -> Value {
    if vtype != "password" {
        return compared(args, vtype, shown);
    }
    // Passwords are not shown, only given out among all selections.
    let name = args.str("name").unwrap_or_default();
    let found = report.all("own").find_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            [owner, question, kind, value, ..]
                if owner.starts_with(name) && Some(*question) == args.str("question") && *kind == vtype =>
            {
                Some((*value).to_string())
            }
            _ => None,
        }
    });
    Value::str(found.unwrap_or_default())
}

/// Returns an answer that is there in the form in which it is compared.
fn compared(args: &Args, vtype: &str, answer: &str) -> Value {
    match vtype {
        "boolean" => Value::str(answer.to_lowercase()),
        "multiselect" if args.list("value").is_some() => {
            let mut texts: Vec<String> = answer.split(',').map(|item| item.trim().to_string()).collect();
            texts.sort();
            Value::from(texts)
        }
        _ => Value::str(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str = "answer * locales/default: C.UTF-8\nanswer   tz/areas: b, a\nanswer * x/flag: true\nanswer   x/pass: (password omitted)\nown x\tx/pass\tpassword\tsecret\n";

    fn check(given: &[(&str, Value)], expect: &str) {
        let mut all = args(&[("name", "x")]);
        for (name, value) in given {
            all.insert(*name, value.clone());
        }
        let prediction = Case::new(&Debconf, all).plan(SEEN).unwrap();
        let got = scripts(&prediction).first().map_or("-".to_string(), |s| s.trim().to_string());
        assert_eq!(got, expect);
    }

    #[test]
    fn answers() {
        let ask = |question: &str, vtype: &str, value: Value| {
            [("question", Value::str(question)), ("vtype", Value::str(vtype)), ("value", value)]
        };
        check(&ask("locales/default", "select", "C.UTF-8".into()), "-");
        check(
            &ask("locales/default", "select", "de_DE.UTF-8".into()),
            "printf '%s' 'x locales/default select de_DE.UTF-8' | debconf-set-selections",
        );
        check(&ask("x/flag", "boolean", true.into()), "-");
        check(
            &ask("x/flag", "boolean", "no".into()),
            "printf '%s' 'x x/flag boolean no' | debconf-set-selections",
        );
        check(&ask("x/pass", "password", "secret".into()), "-");
        check(&ask("tz/areas", "multiselect", Value::from(vec!["a".to_string(), "b".to_string()])), "-");
        check(
            &ask("tz/areas", "multiselect", Value::from(vec!["c".to_string(), "b".to_string()])),
            "printf '%s' 'x tz/areas multiselect b, c' | debconf-set-selections",
        );
        check(&[], "-");
    }

    #[test]
    fn later_steps_see_the_answers_of_earlier_ones() {
        let ask = |value: &str, vtype: &str| {
            args(&[("name", "x"), ("question", "x/new"), ("vtype", vtype), ("value", value)])
        };
        let after = |case: Case, given: Map| {
            let touches = case.plan(SEEN).unwrap().touches;
            let mut later = Case::new(&Debconf, given);
            later.world.add(&"first".into(), touches, crate::modules::Certainty::Certain);
            later.plan(SEEN).unwrap()
        };
        let later = after(Case::new(&Debconf, ask("True", "boolean")), ask("true", "boolean"));
        assert_eq!(later.effect, Effect::Same);
        let later = after(Case::new(&Debconf, ask("one", "string")), ask("two", "string"));
        assert_eq!(later.result.get("previous").unwrap().repr(), "{'x/new': 'one'}");
        let later = after(Case::new(&Debconf, ask("hidden", "password")), ask("hidden", "password"));
        assert_eq!(later.effect, Effect::Same);
        let shown = later.result.get("current").and_then(|map| map.get("x/new")).unwrap().to_text();
        assert_eq!(shown, "(password omitted)");
    }
}
