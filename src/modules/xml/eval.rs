//! What an XPath expression selects in a document.

use std::collections::HashMap;

use super::tree::{Doc, Id, Kind, Name, ROOT};
use super::xpath::{Arithmetic, Axis, Compare, Expr, Function, Start, Step, Test};

/// A node, or an attribute of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Node(Id),
    Attribute(Id, usize),
}

/// What an expression says.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// In the order of the document.
    Places(Vec<Place>),
    Bool(bool),
    Number(f64),
    Text(String),
}

/// Steps that may be taken for one expression: documents come from hosts.
const MOST_STEPS: usize = 30_000_000;

/// Evaluates an expression with a node as its context; `namespaces` are the prefixes that it may use.
pub fn evaluate(doc: &Doc, at: Id, expr: &Expr, namespaces: &[(String, String)]) -> Result<Found, String> {
    let mut order = HashMap::new();
    for (number, id) in std::iter::once(ROOT).chain(doc.below(ROOT)).enumerate() {
        order.insert(id, number);
    }
    let mut evaluator = Evaluator { doc, namespaces, order, steps: 0 };
    evaluator.eval(expr, Context { place: Place::Node(at), position: 1, size: 1 })
}

#[derive(Clone, Copy)]
struct Context {
    place: Place,
    position: usize,
    size: usize,
}

struct Evaluator<'a> {
    doc: &'a Doc,
    namespaces: &'a [(String, String)],
    order: HashMap<Id, usize>,
    steps: usize,
}

impl Evaluator<'_> {
    fn eval(&mut self, expr: &Expr, context: Context) -> Result<Found, String> {
        Ok(match expr {
            Expr::Or(left, right) => Found::Bool(self.truth(left, context)? || self.truth(right, context)?),
            Expr::And(left, right) => Found::Bool(self.truth(left, context)? && self.truth(right, context)?),
            Expr::Compare(how, left, right) => {
                let (left, right) = (self.eval(left, context)?, self.eval(right, context)?);
                Found::Bool(self.compare(*how, &left, &right)?)
            }
            Expr::Arithmetic(how, left, right) => {
                let (left, right) = (self.number(left, context)?, self.number(right, context)?);
                Found::Number(match how {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Modulo => left % right,
                })
            }
            Expr::Negative(inner) => Found::Number(-self.number(inner, context)?),
            Expr::Union(left, right) => {
                let mut places = self.places(left, context)?;
                places.extend(self.places(right, context)?);
                Found::Places(self.sorted(places))
            }
            Expr::Literal(text) => Found::Text(text.clone()),
            Expr::Number(number) => Found::Number(*number),
            Expr::Call(function, given) => self.call(*function, given, context)?,
            Expr::Filter(inner, predicates, steps) => {
                let mut places = self.places(inner, context)?;
                for predicate in predicates {
                    places = self.narrowed(places, predicate)?;
                }
                Found::Places(self.walk(places, steps)?)
            }
            Expr::Path(start, steps) => {
                let from = match start {
                    Start::Document => Place::Node(ROOT),
                    Start::Context => context.place,
                };
                Found::Places(self.walk(vec![from], steps)?)
            }
        })
    }

    fn places(&mut self, expr: &Expr, context: Context) -> Result<Vec<Place>, String> {
        match self.eval(expr, context)? {
            Found::Places(places) => Ok(places),
            _ => Err("Invalid type: nodes are needed".into()),
        }
    }

    fn truth(&mut self, expr: &Expr, context: Context) -> Result<bool, String> {
        Ok(match self.eval(expr, context)? {
            Found::Places(places) => !places.is_empty(),
            Found::Bool(truth) => truth,
            Found::Number(number) => number != 0.0 && !number.is_nan(),
            Found::Text(text) => !text.is_empty(),
        })
    }

    fn number(&mut self, expr: &Expr, context: Context) -> Result<f64, String> {
        let found = self.eval(expr, context)?;
        Ok(self.as_number(&found))
    }

    fn text(&mut self, expr: &Expr, context: Context) -> Result<String, String> {
        let found = self.eval(expr, context)?;
        Ok(self.as_text(&found))
    }

    fn as_number(&self, found: &Found) -> f64 {
        match found {
            Found::Number(number) => *number,
            Found::Bool(truth) => f64::from(u8::from(*truth)),
            other => number_of(&self.as_text(other)),
        }
    }

    fn as_text(&self, found: &Found) -> String {
        match found {
            Found::Places(places) => places.first().map(|place| self.value(*place)).unwrap_or_default(),
            Found::Bool(truth) => truth.to_string(),
            Found::Number(number) => text_of(*number),
            Found::Text(text) => text.clone(),
        }
    }

    /// Returns the string value of a node.
    fn value(&self, place: Place) -> String {
        match place {
            Place::Attribute(id, at) => {
                let element = self.doc.element(id);
                element.and_then(|e| e.attributes.get(at)).map(|(_, value)| value.clone()).unwrap_or_default()
            }
            Place::Node(id) => match self.doc.kind(id) {
                Kind::Text(text) | Kind::Cdata(text) | Kind::Comment(text) => text.clone(),
                Kind::Instruction { data, .. } => data.clone(),
                Kind::Element(_) | Kind::Document => {
                    let texts = self.doc.below(id).into_iter().filter_map(|id| match self.doc.kind(id) {
                        Kind::Text(text) | Kind::Cdata(text) => Some(text.as_str()),
                        _ => None,
                    });
                    texts.collect()
                }
            },
        }
    }

    fn compare(&mut self, how: Compare, left: &Found, right: &Found) -> Result<bool, String> {
        match (left, right) {
            (Found::Places(lefts), Found::Places(rights)) => {
                let rights: Vec<String> = rights.iter().map(|place| self.value(*place)).collect();
                for left in lefts {
                    let left = self.value(*left);
                    self.step_by(rights.len())?;
                    if rights.iter().any(|right| match how {
                        Compare::Equal => left == *right,
                        Compare::Unequal => left != *right,
                        how => ordered(how, number_of(&left), number_of(right)),
                    }) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Found::Places(places), Found::Bool(_)) | (Found::Bool(_), Found::Places(places)) => {
                let there = Found::Bool(!places.is_empty());
                if matches!(left, Found::Places(_)) {
                    self.compare(how, &there, right)
                } else {
                    self.compare(how, left, &there)
                }
            }
            (Found::Places(places), other) => {
                self.step_by(places.len())?;
                Ok(places.iter().any(|place| self.one(how, &Found::Text(self.value(*place)), other)))
            }
            (other, Found::Places(places)) => {
                self.step_by(places.len())?;
                Ok(places.iter().any(|place| self.one(how, other, &Found::Text(self.value(*place)))))
            }
            _ => Ok(self.one(how, left, right)),
        }
    }

    /// Compares two values that are no nodes.
    fn one(&self, how: Compare, left: &Found, right: &Found) -> bool {
        if !matches!(how, Compare::Equal | Compare::Unequal) {
            return ordered(how, self.as_number(left), self.as_number(right));
        }
        let is_bool = |found: &Found| matches!(found, Found::Bool(_));
        let is_number = |found: &Found| matches!(found, Found::Number(_));
        let truth = |found: &Found| match found {
            Found::Bool(truth) => *truth,
            Found::Number(number) => *number != 0.0 && !number.is_nan(),
            Found::Text(text) => !text.is_empty(),
            Found::Places(places) => !places.is_empty(),
        };
        let same = if is_bool(left) || is_bool(right) {
            truth(left) == truth(right)
        } else if is_number(left) || is_number(right) {
            self.as_number(left) == self.as_number(right)
        } else {
            self.as_text(left) == self.as_text(right)
        };
        same == (how == Compare::Equal)
    }

    fn walk(&mut self, mut places: Vec<Place>, steps: &[Step]) -> Result<Vec<Place>, String> {
        for step in steps {
            let mut next = Vec::new();
            for place in &places {
                let mut found = self.axis(*place, step.axis);
                self.step_by(found.len() + 1)?;
                let mut kept = Vec::with_capacity(found.len());
                for place in found.drain(..) {
                    if self.fits(place, step)? {
                        kept.push(place);
                    }
                }
                for predicate in &step.predicates {
                    kept = self.narrowed(kept, predicate)?;
                }
                next.extend(kept);
            }
            places = self.sorted(next);
        }
        Ok(places)
    }

    /// Keeps what a predicate is true of.
    fn narrowed(&mut self, places: Vec<Place>, predicate: &Expr) -> Result<Vec<Place>, String> {
        let size = places.len();
        let mut kept = Vec::new();
        for (at, place) in places.into_iter().enumerate() {
            self.step_by(1)?;
            let found = self.eval(predicate, Context { place, position: at + 1, size })?;
            let keep = match found {
                Found::Number(number) => number == (at + 1) as f64,
                Found::Places(places) => !places.is_empty(),
                Found::Bool(truth) => truth,
                Found::Text(text) => !text.is_empty(),
            };
            if keep {
                kept.push(place);
            }
        }
        Ok(kept)
    }

    fn step_by(&mut self, steps: usize) -> Result<(), String> {
        self.steps += steps;
        if self.steps > MOST_STEPS { Err("the expression takes too many steps".into()) } else { Ok(()) }
    }

    /// Returns what lies on an axis, the nearest first.
    fn axis(&self, place: Place, axis: Axis) -> Vec<Place> {
        let node = |id: Id| Place::Node(id);
        let (id, is_attribute) = match place {
            Place::Node(id) => (id, false),
            Place::Attribute(id, _) => (id, true),
        };
        let above = |mut id: Option<Id>| {
            let mut out = Vec::new();
            while let Some(next) = id {
                out.push(next);
                id = self.doc.parent(next);
            }
            out
        };
        let siblings = || {
            let all = self.doc.parent(id).map(|parent| self.doc.children(parent)).unwrap_or_default();
            let at = all.iter().position(|child| *child == id).unwrap_or(0);
            (&all[..at.min(all.len())], all.get(at + 1..).unwrap_or_default())
        };
        let ids: Vec<Id> = match axis {
            Axis::Own => return vec![place],
            Axis::Parent if is_attribute => vec![id],
            Axis::Parent => self.doc.parent(id).into_iter().collect(),
            Axis::Ancestor => above(if is_attribute { Some(id) } else { self.doc.parent(id) }),
            Axis::AncestorOrSelf => {
                let mut out = vec![place];
                out.extend(
                    above(if is_attribute { Some(id) } else { self.doc.parent(id) }).into_iter().map(node),
                );
                return out;
            }
            Axis::DescendantOrSelf if is_attribute => return vec![place],
            _ if is_attribute => Vec::new(),
            Axis::Child => self.doc.children(id).to_vec(),
            Axis::Descendant => self.doc.below(id),
            Axis::DescendantOrSelf => {
                let mut out = vec![id];
                out.extend(self.doc.below(id));
                out
            }
            Axis::FollowingSibling => siblings().1.to_vec(),
            Axis::PrecedingSibling => siblings().0.iter().rev().copied().collect(),
            Axis::Following => {
                let behind = self.doc.below(id).last().copied().unwrap_or(id);
                let own = self.order.get(&behind).copied().unwrap_or(0);
                self.doc
                    .below(ROOT)
                    .into_iter()
                    .filter(|other| self.order.get(other).is_some_and(|n| *n > own))
                    .collect()
            }
            Axis::Preceding => {
                let own = self.order.get(&id).copied().unwrap_or(0);
                let above = above(self.doc.parent(id));
                let before =
                    |other: &Id| self.order.get(other).is_some_and(|n| *n < own) && !above.contains(other);
                self.doc.below(ROOT).into_iter().filter(before).rev().collect()
            }
            Axis::Attribute => {
                let count = self.doc.element(id).map_or(0, |element| element.attributes.len());
                return (0..count).map(|at| Place::Attribute(id, at)).collect();
            }
        };
        ids.into_iter().map(node).collect()
    }

    fn fits(&self, place: Place, step: &Step) -> Result<bool, String> {
        let name = match place {
            Place::Attribute(id, at) => {
                self.doc.element(id).and_then(|element| element.attributes.get(at)).map(|(name, _)| name)
            }
            Place::Node(id) => self.doc.element(id).map(|element| &element.name),
        };
        // Names are those of the axis' own kind: elements everywhere but among attributes.
        let named = |name: Option<&Name>| match (place, step.axis) {
            (Place::Attribute(..), Axis::Attribute) | (Place::Node(_), _) => name.cloned(),
            _ => None,
        };
        let kind = match place {
            Place::Node(id) => Some(self.doc.kind(id)),
            Place::Attribute(..) => None,
        };
        Ok(match &step.test {
            Test::Node => true,
            Test::Text => matches!(kind, Some(Kind::Text(_) | Kind::Cdata(_))),
            Test::Comment => matches!(kind, Some(Kind::Comment(_))),
            Test::Instruction(wanted) => {
                matches!(kind, Some(Kind::Instruction { target, .. }) if wanted.as_ref().is_none_or(|w| w == target))
            }
            Test::Any => named(name).is_some(),
            Test::Prefix(prefix) => {
                let uri = self.uri(prefix)?;
                named(name).is_some_and(|name| name.uri.as_deref() == Some(uri))
            }
            Test::Name { prefix, local } => {
                let uri = prefix.as_deref().map(|prefix| self.uri(prefix)).transpose()?;
                named(name).is_some_and(|name| name.means(local, uri))
            }
        })
    }

    fn uri(&self, prefix: &str) -> Result<&str, String> {
        if prefix == "xml" {
            return Ok(super::tree::XML_URI);
        }
        let known = self.namespaces.iter().find(|(known, _)| known == prefix);
        known.map(|(_, uri)| uri.as_str()).ok_or_else(|| "Undefined namespace prefix".to_string())
    }

    /// Returns places in the order of the document, each once.
    fn sorted(&self, mut places: Vec<Place>) -> Vec<Place> {
        let key = |place: &Place| match place {
            Place::Node(id) => (self.order.get(id).copied().unwrap_or(usize::MAX), 0),
            Place::Attribute(id, at) => (self.order.get(id).copied().unwrap_or(usize::MAX), at + 1),
        };
        places.sort_by_key(key);
        places.dedup();
        places
    }

    fn call(&mut self, function: Function, given: &[Expr], context: Context) -> Result<Found, String> {
        // What is left out stands for the context.
        let own = |this: &mut Self| match given.first() {
            Some(expr) => this.text(expr, context),
            None => Ok(this.value(context.place)),
        };
        let named = |this: &mut Self| -> Result<Option<Name>, String> {
            let place = match given.first() {
                Some(expr) => match this.places(expr, context)?.first() {
                    Some(place) => *place,
                    None => return Ok(None),
                },
                None => context.place,
            };
            Ok(match place {
                Place::Node(id) => match this.doc.kind(id) {
                    Kind::Element(element) => Some(element.name.clone()),
                    Kind::Instruction { target, .. } => Some(Name::plain(target)),
                    _ => None,
                },
                Place::Attribute(id, at) => {
                    this.doc.element(id).and_then(|e| e.attributes.get(at)).map(|(name, _)| name.clone())
                }
            })
        };
        let mut texts = Vec::new();
        if matches!(
            function,
            Function::Concat
                | Function::StartsWith
                | Function::Contains
                | Function::SubstringBefore
                | Function::SubstringAfter
                | Function::Translate
        ) {
            for expr in given {
                texts.push(self.text(expr, context)?);
            }
        }
        let text = |at: usize| texts.get(at).map(String::as_str).unwrap_or_default();
        let first = |this: &mut Self| given.first().map_or(Ok(f64::NAN), |expr| this.number(expr, context));
        Ok(match function {
            Function::Last => Found::Number(context.size as f64),
            Function::Position => Found::Number(context.position as f64),
            Function::Count => Found::Number(
                given.first().map_or(Ok(Vec::new()), |expr| self.places(expr, context))?.len() as f64,
            ),
            Function::LocalName => Found::Text(named(self)?.map(|name| name.local).unwrap_or_default()),
            Function::NamespaceUri => Found::Text(named(self)?.and_then(|name| name.uri).unwrap_or_default()),
            Function::Name => Found::Text(named(self)?.map(|name| name.written()).unwrap_or_default()),
            Function::String => Found::Text(own(self)?),
            Function::Concat => Found::Text(texts.concat()),
            Function::StartsWith => Found::Bool(text(0).starts_with(text(1))),
            Function::Contains => Found::Bool(text(0).contains(text(1))),
            Function::SubstringBefore => {
                Found::Text(text(0).split_once(text(1)).map_or("", |(before, _)| before).to_string())
            }
            Function::SubstringAfter => {
                Found::Text(text(0).split_once(text(1)).map_or("", |(_, after)| after).to_string())
            }
            Function::Substring => {
                let whole = own(self)?;
                let begin = given.get(1).map_or(Ok(f64::NAN), |expr| self.number(expr, context))?;
                let begin = rounded(begin);
                let end = match given.get(2) {
                    Some(expr) => begin + rounded(self.number(expr, context)?),
                    None => f64::INFINITY,
                };
                let inside = |at: usize| (at + 1) as f64 >= begin && ((at + 1) as f64) < end;
                Found::Text(whole.chars().enumerate().filter(|(at, _)| inside(*at)).map(|(_, c)| c).collect())
            }
            Function::StringLength => Found::Number(own(self)?.chars().count() as f64),
            Function::NormalizeSpace => Found::Text(
                own(self)?
                    .split([' ', '\t', '\n', '\r'])
                    .filter(|w| !w.is_empty())
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            Function::Translate => {
                let from: Vec<char> = text(1).chars().collect();
                let to: Vec<char> = text(2).chars().collect();
                let mapped = text(0).chars().filter_map(|c| match from.iter().position(|f| *f == c) {
                    Some(at) => to.get(at).copied(),
                    None => Some(c),
                });
                Found::Text(mapped.collect())
            }
            Function::Boolean => {
                Found::Bool(given.first().map_or(Ok(false), |expr| self.truth(expr, context))?)
            }
            Function::Not => Found::Bool(!given.first().map_or(Ok(false), |expr| self.truth(expr, context))?),
            Function::True => Found::Bool(true),
            Function::False => Found::Bool(false),
            Function::Number if given.is_empty() => Found::Number(number_of(&self.value(context.place))),
            Function::Number => Found::Number(first(self)?),
            Function::Sum => {
                let places = given.first().map_or(Ok(Vec::new()), |expr| self.places(expr, context))?;
                Found::Number(places.iter().map(|place| number_of(&self.value(*place))).sum())
            }
            Function::Floor => Found::Number(first(self)?.floor()),
            Function::Ceiling => Found::Number(first(self)?.ceil()),
            Function::Round => Found::Number(rounded(first(self)?)),
        })
    }
}

fn ordered(how: Compare, left: f64, right: f64) -> bool {
    match how {
        Compare::Less => left < right,
        Compare::LessOrEqual => left <= right,
        Compare::Greater => left > right,
        _ => left >= right,
    }
}

/// Rounds as XPath does: halves up.
fn rounded(number: f64) -> f64 {
    (number + 0.5).floor()
}

fn number_of(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = plain.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if digits && plain.bytes().any(|b| b.is_ascii_digit()) {
        text.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

fn text_of(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_string()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_string()
    } else if number == 0.0 {
        "0".to_string()
    } else {
        number.to_string()
    }
}
