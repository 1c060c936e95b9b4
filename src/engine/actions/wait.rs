//! `pause` and `wait_for_connection`.

use std::time::{Duration, Instant};

use crate::engine::event::Event;
use crate::engine::item::ItemRun;
use crate::engine::login::truth;
use crate::engine::result::{TaskResult, Trouble};
use crate::engine::{Typed, Typing, Until};
use crate::transport::{Exec, NullSink};
use crate::value::{Map, Value, float_repr};

/// Waits the given time, or for somebody who presses Enter; Ctrl-C asks whether to go on or to abort.
pub async fn pause(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let minutes = whole(given, "minutes")?.map(|m| m.saturating_mul(60));
    let seconds = whole(given, "seconds")?.or(minutes).map(|s| s.max(1));
    let echo = given.get("echo").is_none_or(truth);
    let hidden = if echo { "" } else { " (output is hidden)" };
    let custom = given.get("prompt").map(Value::to_text).filter(|text| !text.is_empty());
    let words = custom.as_deref().unwrap_or("Press enter to continue, Ctrl+C to interrupt");
    let mut prompt = format!("[{}]\n{words}{hidden}:", item.header.name);
    let (begun, started) = (jiff::Zoned::now(), Instant::now());
    if let Some(seconds) = seconds {
        item.shared.emit(Event::Notice(format!("Pausing for {seconds} seconds{hidden}"))).await;
        match custom {
            Some(_) => item.shared.emit(Event::Notice(KEYS.into())).await,
            // Enter does not end the wait, so nobody is told to press it.
            None => prompt = KEYS.into(),
        }
    }
    let limit = seconds.map(Duration::from_secs);
    let typing = Typing {
        // Nothing that is typed during a wait counts.
        echo: echo && limit.is_none(),
        limit,
        until: if limit.is_none() { Until::Enter } else { Until::Interrupt },
    };
    let asks = item.shared.answers.is_person();
    let previews = item.check()? && item.shared.options.previews();
    let user_input = match (asks, limit) {
        (_, None) if previews => String::new(),
        (true, _) => ask(item, &prompt, typing).await?,
        (false, None) => {
            let text = "Not waiting for response to prompt as stdin is not interactive";
            item.shared.emit(Event::Warning(text.to_string())).await;
            String::new()
        }
        (false, Some(limit)) => {
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                () = item.shared.halt.asked() => {}
            }
            String::new()
        }
    };
    if item.shared.halt.is_asked() {
        return Ok(TaskResult::halted());
    }
    let stamp = |time: &jiff::Zoned| time.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
    let elapsed = started.elapsed();
    let (unit, length) = match given.contains("seconds") {
        true => ("seconds", elapsed.as_secs_f64()),
        false => ("minutes", elapsed.as_secs_f64() / 60.0),
    };
    let length = float_repr((length * 100.0).round() / 100.0);
    let mut done = TaskResult::ok(Map::from_iter([
        ("delta", Value::from(elapsed.as_secs())),
        ("echo", echo.into()),
        ("rc", 0.into()),
        ("start", stamp(&begun).into()),
        ("stderr", "".into()),
        ("stdout", Value::str(format!("Paused for {length} {unit}"))),
        ("stop", stamp(&jiff::Zoned::now()).into()),
        ("user_input", user_input.into()),
    ]));
    done.verbose_always = false;
    Ok(done)
}

const KEYS: &str = "(ctrl+C then 'C' = continue early, ctrl+C then 'A' = abort)";

/// A whole number, as Python's `int` makes it of numbers and texts.
fn whole(given: &Map, name: &str) -> Result<Option<u64>, Trouble> {
    let Some(value) = given.get(name).filter(|v| !v.is_null()) else { return Ok(None) };
    let number = match value {
        Value::Float(f) => Some(*f as i128),
        Value::Str(text) => text.trim().parse().ok(),
        other => other.as_int().or(other.as_bool().map(i128::from)),
    };
    let Some(number) = number else {
        let (kind, text) = (value.type_name(), value.to_text());
        return Err(Trouble::msg(format!(
            "argument '{name}' is of type {kind} and we were unable to convert to int: invalid literal for int() with base 10: '{text}'"
        )));
    };
    Ok(Some(number.clamp(0, i128::from(u32::MAX)) as u64))
}

/// Shows the prompt and takes what is typed; after Ctrl-C a letter decides whether the play goes on.
async fn ask(item: &ItemRun, prompt: &str, typing: Typing) -> Result<String, Trouble> {
    let shared = &item.shared;
    let said = |reason: String| match shared.halt.is_asked() {
        true => Ok(String::new()),
        false => Err(Trouble::msg(reason)),
    };
    match shared.typed(prompt, typing).await {
        Ok(Typed::Text(text)) => return Ok(text),
        Ok(Typed::TimeOver) => return Ok(String::new()),
        Ok(Typed::Interrupted) => {}
        Err(reason) => return said(reason),
    }
    let letter = Typing { limit: None, until: Until::Letter('c', 'a'), ..typing };
    match shared.typed("Press 'C' to continue the play or 'A' to abort ", letter).await {
        Ok(Typed::Text(text)) => Ok(text),
        Ok(Typed::TimeOver | Typed::Interrupted) => Err(Trouble::msg("user requested abort!")),
        Err(reason) => said(reason),
    }
}

/// Tries to open a session until it works or the time is over.
pub async fn wait_for_connection(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let secs = |name: &str, default: f64| {
        given
            .get(name)
            .and_then(|v| v.number().or_else(|| v.to_text().parse().ok()))
            .unwrap_or(default)
            .max(0.0)
    };
    if item.check()? {
        return Ok(TaskResult::skipped("not waited for in check mode"));
    }
    let (reach, delegated) = item.reach()?;
    let (delay, sleep, timeout) = (secs("delay", 0.0), secs("sleep", 1.0), secs("timeout", 600.0));
    let started = Instant::now();
    tokio::time::sleep(crate::engine::login::seconds(delay)).await;
    loop {
        item.shared.pool.forget(&reach.spec).await;
        let failure = match item.shared.pool.session(&reach.spec, reach.r#become.as_ref()).await {
            Ok(mut lease) => match lease.session().exec(Exec::new(":"), &mut NullSink).await {
                Ok(_) => {
                    lease.done();
                    let elapsed = started.elapsed().as_secs();
                    let mut done = TaskResult::ok(Map::from_iter([("elapsed", Value::from(elapsed))]));
                    done.delegated = delegated;
                    return Ok(done);
                }
                Err(e) => e.to_string(),
            },
            Err(e) => e.to_string(),
        };
        if started.elapsed().as_secs_f64() + sleep > timeout {
            return Err(Trouble::msg(format!("timed out waiting for the connection: {failure}")));
        }
        tokio::time::sleep(crate::engine::login::seconds(sleep)).await;
    }
}
