//! The modules of src/ know each other only as the table in docs/code.md says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const CODE: &str = include_str!("../docs/code.md");

/// The words of a text that are in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What each module may use, from the table in docs/code.md.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let table = CODE.split_once("| module |").expect("the table of modules").1;
    let rows: Vec<(BTreeSet<_>, &str)> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [modules, _, knows] = cells[..] else { panic!("three columns: {row}") };
            (quoted(modules), knows)
        })
        .collect();
    let all: BTreeSet<&str> = rows.iter().flat_map(|(modules, _)| modules).copied().collect();
    let mut allowed = BTreeMap::new();
    for (modules, knows) in rows {
        let knows = if knows == "all" { all.clone() } else { quoted(knows) };
        allowed.extend(modules.into_iter().map(|module| (module, knows.clone())));
    }
    allowed
}

/// The first names behind every `crate::` of a source, comments aside: `a` and `b` of `crate::{a::C, b}`.
fn uses(source: &str) -> BTreeSet<String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.insert(name(path));
            continue;
        };
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    names.insert(name(&group[begin..at]));
                    begin = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
    let all = entries.flat_map(|path| sources(&path));
    all.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn modules_know_each_other_as_the_table_says() {
    let allowed = allowed();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut found) = (Vec::new(), BTreeMap::new());
    for path in sources(&src) {
        let within = path.strip_prefix(&src).expect("in src").to_str().expect("a name");
        let module = within.split(['/', '.']).next().expect("a name");
        if matches!(module, "lib" | "main" | "fuzzing") {
            continue;
        }
        let known = allowed.get(module).unwrap_or_else(|| panic!("docs/code.md does not name the module {module}"));
        let used = uses(&fs::read_to_string(&path).expect("a source"));
        for other in used.into_iter().filter(|other| other != module && allowed.contains_key(other.as_str())) {
            if !known.contains(other.as_str()) {
                wrong.push(format!("src/{within} uses crate::{other}"));
            }
            found.entry(module.to_owned()).or_insert_with(BTreeSet::new).insert(other);
        }
    }
    assert!(wrong.is_empty(), "against docs/code.md: {wrong:#?}");
    // An arrow that nobody needs would hide one that is wrong.
    for (module, known) in allowed.iter().filter(|(module, _)| **module != "app") {
        let unused: Vec<_> =
            known.iter().filter(|other| !found.get(*module).is_some_and(|f| f.contains(**other))).collect();
        assert!(unused.is_empty(), "docs/code.md says that {module} knows {unused:?}, and it does not use it");
    }
}

#[test]
fn uses_are_found_however_they_are_written() {
    let source = "use crate::event::Event;\nuse crate::{\n    model::{Model, State}, // crate::app\n    record,\n};\nfn a() { crate::ui::draw() }\n// crate::probes\n";
    assert_eq!(uses(source).into_iter().collect::<Vec<_>>(), ["event", "model", "record", "ui"]);
}
