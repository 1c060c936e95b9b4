//! `pause` and `wait_for_connection`.

use std::time::Instant;

use crate::engine::event::Event;
use crate::engine::item::ItemRun;
use crate::engine::result::{TaskResult, Trouble};
use crate::transport::{Exec, NullSink};
use crate::value::{Map, Value};

/// Waits the given time, or for a line on the terminal.
pub async fn pause(item: &ItemRun, given: &Map) -> Result<TaskResult, Trouble> {
    let number = |name: &str| {
        given.get(name).map(|v| {
            v.number()
                .or_else(|| v.to_text().trim().parse().ok())
                .filter(|n: &f64| n.is_finite() && *n >= 0.0)
                .ok_or_else(|| {
                    let (kind, text) = (v.type_name(), v.to_text());
                    Trouble::msg(format!(
                        "argument '{name}' is of type {kind} and we were unable to convert to int: '{text}'"
                    ))
                })
        })
    };
    let seconds = match (number("seconds"), number("minutes")) {
        (Some(s), _) => Some(s?),
        (None, Some(m)) => Some(m? * 60.0),
        (None, None) => None,
    };
    let started = Instant::now();
    let prompt = given.get("prompt").map(Value::to_text);
    if let Some(prompt) = &prompt {
        item.shared.emit(Event::Notice(format!("[{}]\n{prompt}:", item.header.name))).await;
    }
    let mut user_input = String::new();
    match seconds {
        Some(seconds) => {
            if prompt.is_none() {
                item.shared.emit(Event::Notice(format!("Pausing for {seconds} seconds"))).await;
            }
            tokio::select! {
                () = tokio::time::sleep(crate::engine::login::seconds(seconds)) => {}
                () = item.shared.halt.asked() => return Ok(TaskResult::halted()),
            }
        }
        None if item.check()? => {}
        None => tokio::select! {
            typed = line(item) => user_input = typed?,
            () = item.shared.halt.asked() => return Ok(TaskResult::halted()),
        },
    }
    let elapsed = started.elapsed().as_secs();
    let mut done = TaskResult::ok(Map::from_iter([
        ("delta", Value::from(elapsed)),
        ("stdout", Value::str(format!("Paused for {:.2} seconds", started.elapsed().as_secs_f64()))),
        ("stderr", "".into()),
        ("rc", 0.into()),
        ("user_input", user_input.into()),
    ]));
    done.verbose_always = false;
    Ok(done)
}

/// Waits for a line, if there is somebody who could type one.
async fn line(item: &ItemRun) -> Result<String, Trouble> {
    let answers = &item.shared.answers;
    if !answers.is_person() {
        let text = "Not waiting for response to prompt as stdin is not interactive";
        item.shared.emit(Event::Warning(text.to_string())).await;
        return Ok(String::new());
    }
    match answers.line().await {
        Ok(line) => Ok(line.unwrap_or_default()),
        Err(e) => Err(Trouble::msg(format!("cannot read the answer: {e}"))),
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
