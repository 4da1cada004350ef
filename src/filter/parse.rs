//! Reads `--where`: comparisons of fields with values, joined by and, or, not and parentheses.

use std::{fmt, str::FromStr as _};

use super::{
    Wrong,
    field::{COMM_LEN, FIELDS, Field},
};
use crate::event::Ufid;

/// How deeply parentheses and nots may be nested.
const DEPTH: usize = 64;
/// Bytes of an expression, at most.
const LENGTH: usize = 4096;
/// A port's number in a datapath is below this; `DP_MAX_PORTS` in net/openvswitch/datapath.h.
const PORTS: u32 = 1 << 16;

/// An expression as it was written, and as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Where {
    /// The text, as it was written.
    pub text: String,
    /// What it means.
    pub expr: Expr,
}

/// An expression. What holds where a field is not known: see [`Programs::of`](super::Programs::of).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A field compared with a value, and the place of the value in the text.
    Compare(Field, Op, Value, (usize, usize)),
    /// The opposite.
    Not(Box<Expr>),
    /// All of these.
    All(Vec<Expr>),
    /// Any of these.
    Any(Vec<Expr>),
}

impl Expr {
    /// Whether it asks for a field anywhere.
    pub fn has(&self, field: Field) -> bool {
        match self {
            Self::Compare(there, ..) => *there == field,
            Self::Not(inner) => inner.has(field),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.has(field)),
        }
    }
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as they are called everywhere")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u32),
    /// The name of a port, a datapath, a thread or a reason.
    Name(String),
    /// A flow.
    Ufid(Ufid),
}

impl Where {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        if text.len() > LENGTH {
            let why = format!("an expression has at most {LENGTH} bytes");
            return Err(Wrong { at: 0, len: text.len(), why });
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
        let expr = parser.any()?;
        match parser.peek() {
            Token::End => Ok(Self { text: text.to_owned(), expr }),
            _ => Err(parser.wrong("expected 'and', 'or' or the end")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, and whether it was quoted.
    Word(String, bool),
    Op(Op),
    And,
    Or,
    Not,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// Each with its place.
type Placed = (Token, (usize, usize));

fn tokens(text: &str) -> Result<Vec<Placed>, Wrong> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let symbols = [
            ("&&", Token::And),
            ("||", Token::Or),
            ("==", Token::Op(Op::Eq)),
            ("!=", Token::Op(Op::Ne)),
            ("<=", Token::Op(Op::Le)),
            (">=", Token::Op(Op::Ge)),
            ("=", Token::Op(Op::Eq)),
            ("<", Token::Op(Op::Lt)),
            (">", Token::Op(Op::Gt)),
            ("!", Token::Not),
            ("(", Token::Open),
            (")", Token::Close),
            ("{", Token::OpenList),
            ("}", Token::CloseList),
            (",", Token::Comma),
        ];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if let Some((symbol, token)) = symbols.into_iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            all.push((token, (at, symbol.len())));
            at += symbol.len();
        } else if c == '"' || c == '\'' {
            let Some(len) = rest[1..].find(c) else {
                return Err(Wrong { at, len: rest.len(), why: format!("the closing {c} is missing") });
            };
            all.push((Token::Word(rest[1..=len].to_owned(), true), (at, len + 2)));
            at += len + 2;
        } else {
            let is_word = |c: char| c.is_alphanumeric() || "_.:@/-+%*~".contains(c);
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if len == 0 {
                let why = "this means nothing here: comparisons are = != < <= > >=, in {a,b}".to_owned();
                return Err(Wrong { at, len: c.len_utf8(), why });
            }
            let token = match &rest[..len] {
                "and" => Token::And,
                "or" => Token::Or,
                "not" => Token::Not,
                word => Token::Word(word.to_owned(), false),
            };
            all.push((token, (at, len)));
            at += len;
        }
    }
    all.push((Token::End, (text.len(), 0)));
    Ok(all)
}

struct Parser {
    /// The last is the end.
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn place(&self) -> (usize, usize) {
        self.tokens.get(self.next).or(self.tokens.last()).map_or((0, 0), |(_, place)| *place)
    }

    fn wrong(&self, why: &str) -> Wrong {
        let (at, len) = self.place();
        Wrong { at, len, why: why.to_owned() }
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == wanted;
        self.next += usize::from(there);
        there
    }

    fn any(&mut self) -> Result<Expr, Wrong> {
        let mut all = vec![self.all()?];
        while self.take(&Token::Or) {
            all.push(self.all()?);
        }
        Ok(one_or(all, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, Wrong> {
        let mut all = vec![self.one()?];
        while self.take(&Token::And) {
            all.push(self.one()?);
        }
        Ok(one_or(all, Expr::All))
    }

    fn one(&mut self) -> Result<Expr, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong(&format!("more than {DEPTH} parentheses and nots within each other")));
        }
        let expr = if self.take(&Token::Not) {
            Expr::Not(Box::new(self.one()?))
        } else if self.take(&Token::Open) {
            let inner = self.any()?;
            if !self.take(&Token::Close) {
                return Err(self.wrong("expected 'and', 'or' or the closing parenthesis"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, Wrong> {
        let field = self.field()?;
        let listed = |word: &str| matches!(self.peek(), Token::Word(w, false) if w == word);
        let refused = *self.peek() == Token::Not;
        if refused || listed("in") {
            self.next += usize::from(refused);
            if !matches!(self.peek(), Token::Word(w, false) if w == "in") {
                return Err(self.wrong("expected 'in' after 'not'"));
            }
            self.next += 1;
            let any = self.list(field)?;
            return Ok(if refused { Expr::Not(Box::new(any)) } else { any });
        }
        let Token::Op(op) = *self.peek() else {
            return Err(self.wrong(&format!("expected a comparison of {field}: = != < <= > >= or in {{a,b}}")));
        };
        if !field.is_ordered() && !matches!(op, Op::Eq | Op::Ne) {
            return Err(self.wrong(&format!("{field} has no order: compare it with = or !=")));
        }
        self.next += 1;
        let place = self.place();
        let value = self.value(field)?;
        if matches!(value, Value::Name(_)) && !matches!(op, Op::Eq | Op::Ne) {
            let why = "a name has no order: compare it with = or !=".to_owned();
            return Err(Wrong { at: place.0, len: place.1, why });
        }
        Ok(Expr::Compare(field, op, value, place))
    }

    fn field(&mut self) -> Result<Field, Wrong> {
        let known = || FIELDS.map(Field::name).join(", ");
        let Token::Word(word, quoted) = self.peek() else {
            return Err(self.wrong(&format!("expected a field: {}", known())));
        };
        match Field::of(word) {
            Some(field) if !quoted => {
                self.next += 1;
                Ok(field)
            }
            _ => Err(self.wrong(&format!("no such field; there are: {}", known()))),
        }
    }

    fn list(&mut self, field: Field) -> Result<Expr, Wrong> {
        if !self.take(&Token::OpenList) {
            return Err(self.wrong("expected a list: {a,b}"));
        }
        let mut any = Vec::new();
        loop {
            let place = self.place();
            any.push(Expr::Compare(field, Op::Eq, self.value(field)?, place));
            if self.take(&Token::CloseList) {
                return Ok(one_or(any, Expr::Any));
            }
            if !self.take(&Token::Comma) {
                return Err(self.wrong("expected ',' or '}'"));
            }
        }
    }

    fn value(&mut self, field: Field) -> Result<Value, Wrong> {
        let Token::Word(word, quoted) = self.peek() else {
            return Err(self.wrong(&format!("expected a value of {field}")));
        };
        let number = (!quoted).then(|| number(word)).flatten();
        let value = match (field, number) {
            (Field::InPort, Some(n)) if n >= PORTS => Err(format!("a port's number is below {PORTS}")),
            (Field::Ufid, _) => Ufid::from_str(word).map(Value::Ufid).map_err(|e| e.to_string()),
            (Field::Cmd, _) if word == "miss" => Ok(Value::Number(1)),
            (Field::Cmd, _) if word == "action" => Ok(Value::Number(2)),
            (Field::Cmd, None) => Err("expected miss or action".to_owned()),
            (Field::Comm, _) if word.len() >= COMM_LEN => {
                Err(format!("a thread's name has at most {} bytes", COMM_LEN - 1))
            }
            (Field::Comm, _) | (Field::InPort | Field::Dp | Field::Reason, None) => Ok(Value::Name(word.clone())),
            (_, Some(n)) => Ok(Value::Number(n)),
            _ => Err(format!("expected a number below 2^32, for {field}")),
        };
        let value = value.map_err(|why| self.wrong(&why))?;
        self.next += 1;
        Ok(value)
    }
}

fn one_or(mut exprs: Vec<Expr>, several: fn(Vec<Expr>) -> Expr) -> Expr {
    match exprs.pop() {
        Some(only) if exprs.is_empty() => only,
        Some(last) => {
            exprs.push(last);
            several(exprs)
        }
        None => several(exprs),
    }
}

/// Decimal, or hexadecimal after 0x.
fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        None if word.bytes().all(|b| b.is_ascii_digit()) => word.parse().ok(),
        _ => None,
    }
}

/// As it can be read again.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, exprs: &[Self], word: &str| {
            f.write_str("(")?;
            for (i, expr) in exprs.iter().enumerate() {
                let before = if i == 0 { "" } else { word };
                write!(f, "{before}{expr}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Compare(field, op, value, _) => write!(f, "{field} {op} {value}"),
            Self::Not(expr) => write!(f, "not {expr}"),
            Self::All(exprs) => joined(f, exprs, " and "),
            Self::Any(exprs) => joined(f, exprs, " or "),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(name) if name.contains('"') => write!(f, "'{name}'"),
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Ufid(ufid) => write!(f, "{ufid}"),
        }
    }
}
