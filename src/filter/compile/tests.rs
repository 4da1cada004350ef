//! Compiled conditions against what they mean.

use proptest::prelude::*;

use super::{
    super::{
        classic::tests::run,
        field::{FIELDS, Field},
        parse::{Expr, Value, Where},
        resolve::Known,
    },
    *,
};
use crate::event::Ufid;

/// The record's words as a program finds them.
type Words = [u32; 17];

fn bytes(words: &Words) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// Values that meet, mostly.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0u32..3, 1 => any::<u32>()]
}

fn value(field: Field) -> BoxedStrategy<Value> {
    match field {
        Field::Ufid => [word(), word(), word(), word()].prop_map(|w| Value::Ufid(Ufid(w))).boxed(),
        Field::Comm => "[a-b'.]{0,2}".prop_map(Value::Name).boxed(),
        Field::InPort => (0u32..4).prop_map(Value::Number).boxed(),
        Field::Cmd => (1u32..3).prop_map(Value::Number).boxed(),
        _ => word().prop_map(Value::Number).boxed(),
    }
}

fn comparison() -> impl Strategy<Value = Expr> {
    let ops = |field: Field| {
        let all = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge];
        prop::sample::select(all[..if field.is_ordered() { 6 } else { 2 }].to_vec())
    };
    prop::sample::select(FIELDS.to_vec())
        .prop_flat_map(move |field| (Just(field), ops(field), value(field)))
        .prop_map(|(field, op, value)| Expr::Compare(field, op, value, (0, 0)))
}

fn expr() -> impl Strategy<Value = Expr> {
    comparison().prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Any),
            inner.prop_map(|e| Expr::Not(Box::new(e))),
        ]
    })
}

fn words() -> impl Strategy<Value = Words> {
    let comm = prop::sample::select(vec!["", "a", "b", "ab", "."]);
    (prop::array::uniform17(word()), comm).prop_map(|(mut words, comm)| {
        words[13..].fill(0);
        words[13] = comm.bytes().zip([24, 16]).map(|(b, shift)| u32::from(b) << shift).sum();
        words
    })
}

/// What an expression means at a place, as its documentation says it; the values as they are written.
fn means(expr: &Expr, place: Place, words: &Words, opposite: bool) -> bool {
    match expr {
        Expr::Not(inner) => means(inner, place, words, !opposite),
        Expr::All(all) if !opposite => all.iter().all(|e| means(e, place, words, opposite)),
        Expr::Any(any) if !opposite => any.iter().any(|e| means(e, place, words, opposite)),
        Expr::All(all) => all.iter().any(|e| means(e, place, words, opposite)),
        Expr::Any(any) => any.iter().all(|e| means(e, place, words, opposite)),
        Expr::Compare(field, op, value, _) => {
            let first = field.word();
            let unknown = match field {
                Field::Cmd | Field::Portid => place != Place::Upcall,
                Field::Reason => place != Place::Drop,
                Field::Ufid => words[7] == 0,
                Field::InPort | Field::Dp | Field::RecircId => place == Place::Drop && words[1] == 0,
                _ => false,
            };
            let order = match value {
                Value::Number(n) => words[first].cmp(n),
                Value::Ufid(Ufid(ufid)) => words[first..first + 4].cmp(ufid),
                Value::Name(name) => {
                    let there: String = bytes(words)[52..].iter().map(|b| *b as char).collect();
                    there.trim_end_matches('\0').cmp(name)
                }
            };
            let holds = match op {
                Op::Eq => order.is_eq(),
                Op::Ne => order.is_ne(),
                Op::Lt => order.is_lt(),
                Op::Le => order.is_le(),
                Op::Gt => order.is_gt(),
                Op::Ge => order.is_ge(),
            };
            !unknown && holds != opposite
        }
    }
}

fn condition(text: &str) -> Condition {
    let known = Known { reasons: [(3, "NO_SOCKET".to_owned())].into(), ..Known::default() };
    Where::parse(text).expect("it reads").resolve(&known).expect("it has no other names")
}

fn programs(text: &str) -> Result<Programs, Unreachable> {
    let condition = condition(text);
    Programs::of(Vec::new(), Some(&condition), true)
}

proptest! {
    #[test]
    fn a_program_says_what_the_expression_means(expr in expr(), records in prop::collection::vec(words(), 8)) {
        let text = expr.to_string();
        let programs = programs(&text).expect("every field is known at an upcall");
        for words in &records {
            for (place, program) in
                [(Place::Lookup, &programs.lookup), (Place::Upcall, &programs.upcall), (Place::Drop, &programs.drop)]
            {
                if program.is_empty() {
                    prop_assert!(place == Place::Drop && !expr.has(Field::Reason), "{}", text);
                    continue;
                }
                let says = run(program, &bytes(words)) != 0;
                prop_assert_eq!(says, means(&expr, place, words, false), "{} at {:?}: {:?}", text, place, words);
            }
        }
    }

    #[test]
    fn what_is_read_reads_again_the_same(expr in expr()) {
        let first = Where::parse(&expr.to_string()).expect("it was written to be read").expr;
        prop_assert_eq!(first.to_string(), expr.to_string());
    }

    #[test]
    fn nothing_makes_the_reader_panic_and_the_mark_is_inside(text in "\\PC{0,40}") {
        if let Err(wrong) = Where::parse(&text) {
            prop_assert!(wrong.at + wrong.len <= text.len());
            prop_assert!(text.is_char_boundary(wrong.at) && text.is_char_boundary(wrong.at + wrong.len));
            wrong.shown(&text);
        }
    }

    #[test]
    fn nothing_of_its_own_words_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "in_port", "cmd", "reason", "=", "!=", "<", "in", "not", "!", "and", "or", "(", ")", "{", "}", ",", "1", "miss", "'é'", "\"",
            ]),
            0..12,
        )
    ) {
        let text = words.join(" ");
        if let Err(wrong) = Where::parse(&text) {
            prop_assert!(text.get(wrong.at..wrong.at + wrong.len).is_some(), "{:?}", wrong);
        }
    }
}

#[test]
fn a_list_is_any_of_its_values() {
    let one = Where::parse("in_port in {1, 2} and not cpu in {3}").expect("it reads");
    assert_eq!(one.expr.to_string(), "((in_port = 1 or in_port = 2) and not cpu = 3)");
    let other = Where::parse("in_port in {1,2} && cpu not in {3}").expect("it reads");
    assert_eq!(one.expr.to_string(), other.expr.to_string());
}

#[test]
fn what_is_wrong_is_marked_and_says_what_is_known() {
    for (text, at, len, says) in [
        ("", 0, 0, "expected a field: in_port, dp, ufid"),
        ("in_prt = 3", 0, 6, "no such field; there are: in_port"),
        ("cpu = 1 and reason < 3", 19, 1, "has no order"),
        ("reason in {3, ()}", 14, 1, "expected a value of reason"),
        ("in_port 3", 8, 1, "expected a comparison of in_port"),
        ("in_port = 65536", 10, 5, "below 65536"),
        ("len = -1", 6, 2, "expected a number"),
        ("len = 4294967296", 6, 10, "expected a number"),
        ("cmd = mis", 6, 3, "expected miss or action"),
        ("cmd < miss", 4, 1, "has no order"),
        ("in_port < p1", 10, 2, "a name has no order"),
        ("comm = 'a23456789012345678'", 7, 20, "at most 15 bytes"),
        ("ufid = 12", 7, 2, "is not a UFID"),
        ("cpu = 'a", 6, 2, "the closing ' is missing"),
        ("(cpu = 1", 8, 0, "closing parenthesis"),
        ("cpu = 1 cpu = 2", 8, 3, "expected 'and'"),
        ("cpu in 1", 7, 1, "expected a list"),
        ("cpu in {1;2}", 9, 1, "means nothing here"),
        ("cpu = 1 &&", 10, 0, "expected a field"),
    ] {
        let wrong = Where::parse(text).expect_err(text);
        assert_eq!((wrong.at, wrong.len), (at, len), "{text}: {}", wrong.why);
        assert!(wrong.why.contains(says), "{text}: {}", wrong.why);
    }
    let deep = "(".repeat(100_000);
    assert!(Where::parse(&deep).is_err() && Where::parse(&deep[..4000]).is_err());
}

#[test]
fn what_needs_lookups_is_refused_without_them() {
    assert!(programs("cmd = miss or in_port = 1").is_ok());
    assert!(programs("ufid = 00000001-0000-0000-0000-000000000000 and cmd = action").is_ok());
    let only_lookups = |text: &str| Programs::of(Vec::new(), Some(&condition(text)), false);
    let ufid = "ufid = 00000001-0000-0000-0000-000000000000";
    assert_eq!(only_lookups(ufid), Err(Unreachable::OnlyLookups));
    assert!(only_lookups(&format!("{ufid} or cmd = miss")).is_ok());
    assert_eq!(only_lookups("reason = NO_SOCKET and cpu = 0"), Err(Unreachable::OnlyLookups));
    let upcalls = only_lookups("reason = NO_SOCKET or cmd = miss").expect("upcalls are seen");
    assert_eq!(upcalls.drop, [], "nothing is there to drop");
}

#[test]
fn drops_decide_only_where_their_reason_is_asked_for() {
    let never = |program: &[Insn]| run(program, &[0xff; 68]) == 0;
    let without = programs("cpu = 4294967295").expect("it is known everywhere");
    assert!(without.drop.is_empty() && !never(&without.lookup));
    let with = programs("reason not in {3, no_socket, 4}").expect("it is known at drops");
    assert!(never(&with.lookup) && never(&with.upcall) && !never(&with.drop));
    for (reason, wanted) in [(3, 0), (4, 0), (5, 1)] {
        let mut words = [0; 17];
        words[12] = reason;
        assert_eq!(run(&with.drop, &bytes(&words)), wanted, "{reason}");
    }
}

#[test]
fn a_kernel_without_reasons_has_no_numbers_of_them_either() {
    let wrong = Where::parse("cpu = 1 or reason = 3").expect("it reads").resolve(&Known::default());
    let wrong = wrong.expect_err("there are none");
    assert_eq!((wrong.at, wrong.len), (20, 1));
    assert!(wrong.why.contains("since 5.17"), "{}", wrong.why);
}

#[test]
fn a_long_list_is_refused_and_a_longish_one_is_not() {
    let list = |n: u32| format!("in_port in {{{}}}", (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    assert!(programs(&list(100)).is_ok());
    assert!(matches!(programs(&list(200)), Err(Unreachable::Long(Unfit::Long(n))) if n > 512));
    // Its conditional jumps cannot all reach the end.
    let programs = programs(&list(100)).expect("it is short enough");
    for (port, wanted) in [(0, 1), (99, 1), (100, 0)] {
        let mut words = [0; 17];
        words[0] = port;
        assert_eq!(run(&programs.lookup, &bytes(&words)), wanted, "{port}");
    }
}
