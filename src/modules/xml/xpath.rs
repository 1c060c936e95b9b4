//! XPath 1.0 expressions: from text to a tree. What is left out (variables, functions of other languages, the namespace
//! axis, `id` and `lang`) is refused by name. `eval` evaluates them.

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Compare(Compare, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Negative(Box<Expr>),
    Union(Box<Expr>, Box<Expr>),
    Literal(String),
    Number(f64),
    Call(Function, Vec<Expr>),
    /// What another expression selects, narrowed down and followed by steps.
    Filter(Box<Expr>, Vec<Expr>, Vec<Step>),
    Path(Start, Vec<Step>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Document,
    Context,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub axis: Axis,
    pub test: Test,
    pub predicates: Vec<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Child,
    Descendant,
    Parent,
    Ancestor,
    FollowingSibling,
    PrecedingSibling,
    Following,
    Preceding,
    Attribute,
    Own,
    DescendantOrSelf,
    AncestorOrSelf,
}

const AXES: [(&str, Axis); 12] = [
    ("child", Axis::Child),
    ("descendant", Axis::Descendant),
    ("parent", Axis::Parent),
    ("ancestor", Axis::Ancestor),
    ("following-sibling", Axis::FollowingSibling),
    ("preceding-sibling", Axis::PrecedingSibling),
    ("following", Axis::Following),
    ("preceding", Axis::Preceding),
    ("attribute", Axis::Attribute),
    ("self", Axis::Own),
    ("descendant-or-self", Axis::DescendantOrSelf),
    ("ancestor-or-self", Axis::AncestorOrSelf),
];

/// What a step takes of its axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Any,
    /// All of a namespace.
    Prefix(String),
    Name {
        prefix: Option<String>,
        local: String,
    },
    Node,
    Text,
    Comment,
    Instruction(Option<String>),
}

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function { $($variant),* }

        /// Name, and how many arguments are taken at least and at most.
        const FUNCTIONS: &[(&str, Function, usize, usize)] = &[$(($name, Function::$variant, $least, $most)),*];
    };
}

functions!(
    Last "last" 0 0,
    Position "position" 0 0,
    Count "count" 1 1,
    LocalName "local-name" 0 1,
    NamespaceUri "namespace-uri" 0 1,
    Name "name" 0 1,
    String "string" 0 1,
    Concat "concat" 2 99,
    StartsWith "starts-with" 2 2,
    Contains "contains" 2 2,
    SubstringBefore "substring-before" 2 2,
    SubstringAfter "substring-after" 2 2,
    Substring "substring" 2 3,
    StringLength "string-length" 0 1,
    NormalizeSpace "normalize-space" 0 1,
    Translate "translate" 3 3,
    Boolean "boolean" 1 1,
    Not "not" 1 1,
    True "true" 0 0,
    False "false" 0 0,
    Number "number" 0 1,
    Sum "sum" 1 1,
    Floor "floor" 1 1,
    Ceiling "ceiling" 1 1,
    Round "round" 1 1,
);

/// Expressions within one another.
const DEEPEST: usize = 60;

/// Operators in one expression.
const MOST_OPERATORS: usize = 200;

/// Reads an expression. The error says what is wrong.
pub fn parse(text: &str) -> Result<Expr, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, operators: 0 };
    let expr = parser.expr(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err("Invalid expression".into()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A name with colons inside, or with a star behind a colon.
    Name(String),
    Literal(String),
    Number(f64),
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "//", "::", "..", "!=", "<=", ">=", "/", "(", ")", "[", "]", ".", "@", ",", "|", "+", "-", "=", "<", ">",
    "*", "$",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(out) };
        if matches!(first, '"' | '\'') {
            let (literal, after) = rest[1..].split_once(first).ok_or("Unfinished literal")?;
            out.push(Token::Literal(literal.to_string()));
            rest = after;
            continue;
        }
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        if rest[..number].bytes().any(|b| b.is_ascii_digit()) {
            let number = rest[..number].parse().map_err(|_| "Invalid number".to_string())?;
            let len = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
            out.push(Token::Number(number));
            rest = &rest[len..];
            continue;
        }
        if first == '_' || first.is_alphabetic() {
            let len = name_len(rest);
            out.push(Token::Name(rest[..len].to_string()));
            rest = &rest[len..];
            continue;
        }
        let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or("Invalid expression")?;
        if *sign == "$" {
            return Err("variables are not supported".into());
        }
        out.push(Token::Sign(sign));
        rest = &rest[sign.len()..];
    }
}

/// Returns how many bytes of a text are a name, with a prefix or with a star for the name behind one.
fn name_len(text: &str) -> usize {
    let plain = |text: &str| {
        text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(text.len())
    };
    let len = plain(text);
    let rest = &text[len..];
    match rest.strip_prefix(':') {
        Some(local) if local.starts_with('*') => len + 2,
        Some(local) if local.starts_with(|c: char| c == '_' || c.is_alphabetic()) => len + 1 + plain(local),
        _ => len,
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    operators: usize,
}

/// Operators by how strongly they bind, the weakest first; a name is one only behind an operand.
const LEVELS: [&[&str]; 7] =
    [&["or"], &["and"], &["=", "!="], &["<", "<=", ">", ">="], &["+", "-"], &["*", "div", "mod"], &["|"]];

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        self.at += usize::from(there);
        there
    }

    fn need(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err("Invalid expression".into()) }
    }

    fn operator(&self, level: usize) -> Option<&'static str> {
        let found = match self.peek()? {
            Token::Sign(sign) => *sign,
            Token::Name(name) => name.as_str(),
            _ => return None,
        };
        LEVELS[level].iter().find(|op| **op == found).copied()
    }

    fn expr(&mut self, level: usize) -> Result<Expr, String> {
        if level == 6 && self.eat("-") {
            self.enter()?;
            let inner = self.expr(6);
            self.depth -= 1;
            return Ok(Expr::Negative(Box::new(inner?)));
        }
        if level == LEVELS.len() {
            return self.path();
        }
        let mut left = self.expr(level + 1)?;
        while let Some(op) = self.operator(level) {
            self.at += 1;
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                return Err("too many operators".into());
            }
            let right = Box::new(self.expr(level + 1)?);
            left = combined(op, Box::new(left), right);
        }
        Ok(left)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("too many expressions within one another".into()) } else { Ok(()) }
    }

    fn path(&mut self) -> Result<Expr, String> {
        match self.peek() {
            Some(Token::Literal(text)) => {
                let text = text.clone();
                self.at += 1;
                self.filter(Expr::Literal(text))
            }
            Some(Token::Number(number)) => {
                let number = *number;
                self.at += 1;
                self.filter(Expr::Number(number))
            }
            Some(Token::Sign("(")) => {
                self.at += 1;
                self.enter()?;
                let inner = self.expr(0)?;
                self.depth -= 1;
                self.need(")")?;
                self.filter(inner)
            }
            Some(Token::Name(name)) if self.calls() => {
                let name = name.clone();
                self.at += 2;
                let call = self.call(&name)?;
                self.filter(call)
            }
            Some(Token::Sign("//")) => {
                self.at += 1;
                let mut steps = vec![ANYWHERE];
                self.steps(&mut steps)?;
                Ok(Expr::Path(Start::Document, steps))
            }
            Some(Token::Sign("/")) => {
                self.at += 1;
                let mut steps = Vec::new();
                if self.begins_step() {
                    self.steps(&mut steps)?;
                }
                Ok(Expr::Path(Start::Document, steps))
            }
            _ => {
                let mut steps = Vec::new();
                self.steps(&mut steps)?;
                Ok(Expr::Path(Start::Context, steps))
            }
        }
    }

    /// Whether a name is that of a function: what follows is a bracket, and it is no test of a node's kind.
    fn calls(&self) -> bool {
        let Some(Token::Name(name)) = self.peek() else { return false };
        self.tokens.get(self.at + 1) == Some(&Token::Sign("("))
            && !["node", "text", "comment", "processing-instruction"].contains(&name.as_str())
    }

    fn call(&mut self, name: &str) -> Result<Expr, String> {
        let mut given = Vec::new();
        self.enter()?;
        if !self.eat(")") {
            loop {
                given.push(self.expr(0)?);
                if self.eat(")") {
                    break;
                }
                self.need(",")?;
            }
        }
        self.depth -= 1;
        let Some((_, function, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            return Err(format!("the function {name}() is not supported"));
        };
        if !(*least..=*most).contains(&given.len()) {
            return Err(format!("Invalid number of arguments of {name}()"));
        }
        Ok(Expr::Call(*function, given))
    }

    /// Reads what may follow an expression that selects something.
    fn filter(&mut self, inner: Expr) -> Result<Expr, String> {
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        if self.eat("//") {
            steps.push(ANYWHERE);
            self.steps(&mut steps)?;
        } else if self.eat("/") {
            self.steps(&mut steps)?;
        }
        if predicates.is_empty() && steps.is_empty() {
            return Ok(inner);
        }
        Ok(Expr::Filter(Box::new(inner), predicates, steps))
    }

    fn begins_step(&self) -> bool {
        matches!(self.peek(), Some(Token::Name(_) | Token::Sign("." | ".." | "@" | "*")))
    }

    fn steps(&mut self, steps: &mut Vec<Step>) -> Result<(), String> {
        loop {
            let step = self.step()?;
            steps.push(step);
            if self.eat("//") {
                steps.push(ANYWHERE);
            } else if !self.eat("/") {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        for (sign, axis) in [(".", Axis::Own), ("..", Axis::Parent)] {
            if self.eat(sign) {
                return Ok(Step { axis, test: Test::Node, predicates: self.predicates()? });
            }
        }
        let mut axis = if self.eat("@") { Axis::Attribute } else { Axis::Child };
        if let (Some(Token::Name(name)), Some(Token::Sign("::"))) =
            (self.peek(), self.tokens.get(self.at + 1))
        {
            axis = match AXES.iter().find(|(known, _)| known == name) {
                Some((_, axis)) => *axis,
                None => return Err(format!("the axis {name} is not supported")),
            };
            self.at += 2;
        }
        let test = self.test()?;
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.eat("*") {
            return Ok(Test::Any);
        }
        let Some(Token::Name(name)) = self.peek() else { return Err("Invalid expression".into()) };
        let name = name.clone();
        self.at += 1;
        if self.eat("(") {
            let test = match name.as_str() {
                "node" => Test::Node,
                "text" => Test::Text,
                "comment" => Test::Comment,
                "processing-instruction" => match self.peek() {
                    Some(Token::Literal(target)) => {
                        let target = target.clone();
                        self.at += 1;
                        Test::Instruction(Some(target))
                    }
                    _ => Test::Instruction(None),
                },
                _ => return Err("Invalid expression".into()),
            };
            self.need(")")?;
            return Ok(test);
        }
        Ok(match name.split_once(':') {
            Some((prefix, "*")) => Test::Prefix(prefix.to_string()),
            Some((prefix, local)) => {
                Test::Name { prefix: Some(prefix.to_string()), local: local.to_string() }
            }
            None => Test::Name { prefix: None, local: name },
        })
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, String> {
        let mut predicates = Vec::new();
        while self.eat("[") {
            self.enter()?;
            predicates.push(self.expr(0)?);
            self.depth -= 1;
            self.need("]").map_err(|_| "Invalid predicate".to_string())?;
        }
        Ok(predicates)
    }
}

/// What stands between two slashes.
const ANYWHERE: Step = Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() };

fn combined(op: &str, left: Box<Expr>, right: Box<Expr>) -> Expr {
    let compare = |compare, left, right| Expr::Compare(compare, left, right);
    let arithmetic = |arithmetic, left, right| Expr::Arithmetic(arithmetic, left, right);
    match op {
        "or" => Expr::Or(left, right),
        "and" => Expr::And(left, right),
        "=" => compare(Compare::Equal, left, right),
        "!=" => compare(Compare::Unequal, left, right),
        "<" => compare(Compare::Less, left, right),
        "<=" => compare(Compare::LessOrEqual, left, right),
        ">" => compare(Compare::Greater, left, right),
        ">=" => compare(Compare::GreaterOrEqual, left, right),
        "+" => arithmetic(Arithmetic::Add, left, right),
        "-" => arithmetic(Arithmetic::Subtract, left, right),
        "*" => arithmetic(Arithmetic::Multiply, left, right),
        "div" => arithmetic(Arithmetic::Divide, left, right),
        "mod" => arithmetic(Arithmetic::Modulo, left, right),
        _ => Expr::Union(left, right),
    }
}
