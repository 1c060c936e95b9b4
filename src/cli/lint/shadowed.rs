//! Variables that can never count: a stronger layer of the same play always sets them too.

use super::undefined::of_loop;
use super::{Look, Surveyed};
use crate::diag::{Diagnostic, Span};
use crate::template::Tree;
use crate::vars::{Layer, is_magic};

const CODE: &str = "XP1002";

pub fn check(look: &Look<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for play in look.plays {
        between_layers(play, &mut found);
        by_magic(play, &mut found);
        by_tasks(play, &mut found);
    }
    found
}

/// Layers whose order surprises people. Within the inventory, and against defaults, overriding is what it is for.
fn hides(strong: Layer, weak: Layer) -> bool {
    match weak {
        Layer::Inventory => matches!(strong, Layer::Role | Layer::VarsFiles | Layer::Play),
        Layer::Play => matches!(strong, Layer::Role | Layer::VarsFiles),
        Layer::VarsFiles => strong == Layer::Role,
        _ => false,
    }
}

fn between_layers(play: &Surveyed, found: &mut Vec<Diagnostic>) {
    for (at, weak) in play.layers.iter().enumerate() {
        for (name, tree) in weak.vars.iter() {
            let strong = play.layers[..at].iter().find_map(|origin| {
                Some((origin, origin.vars.get(name).filter(|_| hides(origin.layer, weak.layer))?))
            });
            let Some((strong, stronger)) = strong else { continue };
            let message =
                format!("`{name}` has no effect here: {} win over {}", strong.words, layer_word(weak.layer));
            let diagnostic =
                place(Diagnostic::warning(CODE, message), tree.span, "never counts in this play");
            found.push(place(diagnostic, stronger.span, "this is what counts").help(advice(strong.layer)));
        }
    }
}

fn layer_word(layer: Layer) -> &'static str {
    match layer {
        Layer::Inventory => "the inventory's variables",
        Layer::Play => "`vars` of the play",
        _ => "`vars_files`",
    }
}

fn advice(strong: Layer) -> &'static str {
    match strong {
        Layer::Role => "move the role's value to its defaults/, or give this one as a parameter of the role",
        _ => "set it in one of the two places only",
    }
}

fn by_magic(play: &Surveyed, found: &mut Vec<Diagnostic>) {
    let of_tasks = play.survey.tasks.iter().flat_map(|task| &task.directives.vars);
    for vars in play.layers.iter().map(|origin| &origin.vars).chain(of_tasks) {
        for (name, tree) in vars.iter().filter(|(name, _)| is_magic(name)) {
            let message = format!("`{name}` has no effect: the program sets this variable itself");
            let diagnostic = place(Diagnostic::warning(CODE, message), tree.span, "never counts");
            found.push(diagnostic.help("choose another name"));
        }
    }
}

fn by_tasks(play: &Surveyed, found: &mut Vec<Diagnostic>) {
    let defined = |name: &str| -> Option<(&str, &Tree)> {
        play.layers.iter().find_map(|origin| Some((origin.words.as_str(), origin.vars.get(name)?)))
    };
    for task in &play.survey.tasks {
        for name in task.loop_.iter().flat_map(of_loop) {
            let Some((words, tree)) = defined(&name) else { continue };
            let message = format!("the loop variable `{name}` hides a variable of the same name ({words})");
            let diagnostic = place(Diagnostic::warning(CODE, message), Some(task.span), "in this task");
            found.push(place(diagnostic, tree.span, "hidden").help("choose another `loop_var`"));
        }
        let Some(name) = &task.register else { continue };
        let Some((words, tree)) = defined(name) else { continue };
        let message = format!("the result `{name}` replaces a variable of the same name ({words})");
        let diagnostic = place(Diagnostic::warning(CODE, message), Some(task.span), "from this task on");
        found.push(place(diagnostic, tree.span, "replaced").help("register the result under another name"));
    }
}

fn place(diagnostic: Diagnostic, span: Option<Span>, text: &str) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span, text),
        None => diagnostic,
    }
}
