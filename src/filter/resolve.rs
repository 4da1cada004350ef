//! Looks up the names in a `--where`: ports, datapaths and reasons become numbers, flows and threads words of the record.

use std::collections::BTreeMap;

use super::{
    Wrong,
    field::{COMM_LEN, Field},
    parse::{Expr, Op, Value, Where},
    reason,
};
use crate::event::{Datapath, DpIfindex, Ufid};

/// How many names are offered to choose from, at most.
const SHOWN: usize = 20;

/// An expression whose names are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A comparison.
    Test(Test),
    /// The opposite.
    Not(Box<Condition>),
    /// All of these.
    All(Vec<Condition>),
    /// Any of these.
    Any(Vec<Condition>),
}

/// One comparison with the record's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The field.
    pub field: Field,
    /// How it is compared; [`Op::Eq`] where there are several words.
    pub op: Op,
    /// With what: the field's words, one after the other.
    pub words: Vec<u32>,
}

/// What names mean on a host.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its datapaths with their ports.
    pub datapaths: Vec<Datapath>,
    /// Its kernel's reasons to drop packets, by number; empty where it does not tell.
    pub reasons: BTreeMap<u32, String>,
}

impl Where {
    /// Looks up its names.
    pub fn resolve(&self, known: &Known) -> Result<Condition, Wrong> {
        resolve(&self.expr, known)
    }
}

impl Condition {
    /// Whether it asks for a field anywhere.
    pub fn has(&self, field: Field) -> bool {
        match self {
            Self::Test(test) => test.field == field,
            Self::Not(inner) => inner.has(field),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.has(field)),
        }
    }

    /// The condition for the packets of one datapath.
    pub fn in_datapath(dp: DpIfindex) -> Self {
        test(Field::Dp, Op::Eq, vec![dp.0])
    }
}

/// The datapath of a name or a number, which may have its type before it, as `system@ovs-system`; or why there is none.
pub fn datapath(name: &str, datapaths: &[Datapath]) -> Result<DpIfindex, String> {
    let plain = name.strip_prefix("system@").unwrap_or(name);
    let number = plain.parse().ok().map(DpIfindex);
    datapaths
        .iter()
        .find(|d| d.name == plain)
        .or_else(|| datapaths.iter().find(|d| Some(d.dp) == number))
        .map(|d| d.dp)
        .ok_or_else(|| {
            let known = datapaths.iter().map(|d| format!("{} ({})", d.name, d.dp.0));
            format!("there is no datapath '{name}'{}", there_are(known))
        })
}

/// What there is to choose from.
pub(super) fn there_are(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.take(SHOWN + 1).collect();
    match all.get(..SHOWN) {
        _ if all.is_empty() => ": there is none at all".to_owned(),
        Some(shown) if all.len() > SHOWN => format!("; there are: {}, …", shown.join(", ")),
        _ => format!("; there are: {}", all.join(", ")),
    }
}

fn test(field: Field, op: Op, words: Vec<u32>) -> Condition {
    Condition::Test(Test { field, op, words })
}

fn resolve(expr: &Expr, known: &Known) -> Result<Condition, Wrong> {
    let each = |exprs: &[Expr]| exprs.iter().map(|e| resolve(e, known)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::All(exprs) => Condition::All(each(exprs)?),
        Expr::Any(exprs) => Condition::Any(each(exprs)?),
        Expr::Not(expr) => Condition::Not(Box::new(resolve(expr, known)?)),
        Expr::Compare(field, op, value, (at, len)) => {
            let wrong = |why| Wrong { at: *at, len: *len, why };
            let datapaths = &known.datapaths;
            match value {
                Value::Number(_) if *field == Field::Reason && known.reasons.is_empty() => {
                    return Err(wrong(reason::NONE.to_owned()));
                }
                Value::Number(n) => test(*field, *op, vec![*n]),
                Value::Ufid(Ufid(words)) => equal(*field, *op, words.to_vec()),
                Value::Name(name) => match field {
                    Field::Comm => equal(*field, *op, comm(name)),
                    Field::InPort => unless_ne(*op, ports(name, datapaths).map_err(wrong)?),
                    Field::Reason => test(*field, *op, vec![reason::number(name, &known.reasons).map_err(wrong)?]),
                    _ => test(*field, *op, vec![datapath(name, datapaths).map_err(wrong)?.0]),
                },
            }
        }
    })
}

/// Several words are equal if all of them are, and unequal if any of them is.
fn equal(field: Field, op: Op, words: Vec<u32>) -> Condition {
    unless_ne(op, test(field, Op::Eq, words))
}

fn unless_ne(op: Op, condition: Condition) -> Condition {
    if op == Op::Ne { Condition::Not(Box::new(condition)) } else { condition }
}

/// A name's bytes, with zeros to its end.
fn comm(name: &str) -> Vec<u32> {
    let mut bytes = [0; COMM_LEN];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    bytes.chunks_exact(4).map(|w| w.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).collect()
}

/// A port's number means something in its own datapath alone.
fn ports(name: &str, datapaths: &[Datapath]) -> Result<Condition, String> {
    let all = || datapaths.iter().flat_map(|d| d.ports.iter().map(move |p| (d.dp, p)));
    let found: Vec<Condition> = all()
        .filter(|(_, port)| port.name == name)
        .map(|(dp, port)| {
            Condition::All(vec![Condition::in_datapath(dp), test(Field::InPort, Op::Eq, vec![port.port.0])])
        })
        .collect();
    if found.is_empty() {
        return Err(format!("there is no port '{name}'{}", there_are(all().map(|(_, port)| port.name.clone()))));
    }
    Ok(Condition::Any(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Port, PortNo};

    fn datapaths() -> Vec<Datapath> {
        let port = |n, name: &str| Port { port: PortNo(n), name: name.into(), kind: "netdev".into(), ifindex: 0 };
        vec![
            Datapath {
                dp: DpIfindex(7),
                name: "ovs-system".into(),
                ports: vec![port(0, "ovs-system"), port(2, "p1_l")],
                ..Datapath::default()
            },
            Datapath { dp: DpIfindex(9), name: "7".into(), ..Datapath::default() },
        ]
    }

    #[test]
    fn a_datapath_has_a_name_and_a_number() {
        for (name, number) in [("ovs-system", 7), ("system@ovs-system", 7), ("9", 9), ("7", 9)] {
            assert_eq!(datapath(name, &datapaths()), Ok(DpIfindex(number)), "{name}");
        }
        let why = datapath("br9", &datapaths()).expect_err("there is none");
        assert_eq!(why, "there is no datapath 'br9'; there are: ovs-system (7), 7 (9)");
    }

    #[test]
    fn a_port_is_looked_up_with_its_datapath() {
        let known = Known { datapaths: datapaths(), ..Known::default() };
        let read = |text| Where::parse(text).expect("it reads").resolve(&known);
        let port = |dp, port| {
            Condition::Any(vec![Condition::All(vec![
                Condition::in_datapath(DpIfindex(dp)),
                test(Field::InPort, Op::Eq, vec![port]),
            ])])
        };
        assert_eq!(read("in_port = p1_l"), Ok(port(7, 2)));
        assert_eq!(read("in_port != p1_l"), Ok(Condition::Not(Box::new(port(7, 2)))));
        assert_eq!(read("in_port < 5"), Ok(test(Field::InPort, Op::Lt, vec![5])));
        let wrong = read("cpu = 0 and in_port = p2").expect_err("there is none");
        assert_eq!((wrong.at, wrong.len), (22, 2));
        assert_eq!(wrong.why, "there is no port 'p2'; there are: ovs-system, p1_l");
    }

    #[test]
    fn a_name_becomes_words() {
        assert_eq!(comm("handler3"), [0x6861_6e64, 0x6c65_7233, 0, 0]);
    }
}
