//! The shape of the code, as tests: folders and the code map agree, imports only go down, files and functions stay
//! small, nothing is left undone, and the banned crates stay out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A production file longer than this holds more than one concern (STYLE 3).
const FILE_LINES_MAX: usize = 400;
/// A function longer than this does more than one thing (STYLE 3).
const FUNCTION_LINES_MAX: usize = 70;
/// A test file may hold a long table.
const TEST_FILE_LINES_MAX: usize = 700;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What git knows, and what it would know after the next commit.
fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let files = String::from_utf8(listed.stdout).expect("UTF-8");
    files.lines().filter(|file| root().join(file).is_file()).map(ToOwned::to_owned).collect()
}

fn rust_files() -> Vec<String> {
    tracked().into_iter().filter(|file| file.ends_with(".rs")).collect()
}

fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.starts_with("tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs")
}

/// A source file without the test module at its end.
fn production(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[test]
fn the_code_map_names_every_folder_and_every_folder_it_names_exists() {
    let map = read("ARCHITECTURE.md");
    let named: BTreeSet<PathBuf> = map
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- `"))
        .filter_map(|line| line.split('`').next())
        .filter(|name| name.ends_with('/'))
        .map(|name| PathBuf::from(name.trim_end_matches('/')))
        .collect();
    let existing: BTreeSet<PathBuf> = tracked()
        .iter()
        .flat_map(|file| Path::new(file).ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>())
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    let unnamed: Vec<_> = existing.difference(&named).collect();
    let missing: Vec<_> = named.difference(&existing).collect();
    assert!(unnamed.is_empty(), "folders that ARCHITECTURE.md does not name: {unnamed:?}");
    assert!(missing.is_empty(), "ARCHITECTURE.md names folders that do not exist: {missing:?}");
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let text = read(&file);
        let (lines, max) = if is_test(&file) {
            (text.lines().count(), TEST_FILE_LINES_MAX)
        } else {
            (production(&text).lines().count(), FILE_LINES_MAX)
        };
        if lines > max {
            wrong.push(format!("{file}: {lines} lines, {max} at most"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{file}: does not start by saying what it is"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The name and the length of each function: from its line to the brace that closes at the same depth.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let words = line.trim_start().split("fn ").next().unwrap_or_default();
        let has_body = !line.ends_with(';') && !line.ends_with('}');
        line.contains("fn ")
            && has_body
            && words.split_whitespace().all(|word| word.starts_with("pub") || ["async", "const"].contains(&word))
    });
    let long = |(at, line): (usize, &&str)| {
        let end = lines[at..].iter().position(|last| last.trim() == "}" && depth(last) == depth(line))?;
        Some((line.trim().to_owned(), end + 1))
    };
    starts.filter_map(long).collect()
}

#[test]
fn functions_are_small() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in rust_files().into_iter().filter(|file| !is_test(file)) {
        for (name, lines) in functions(production(&read(&file))) {
            seen += 1;
            if lines > FUNCTION_LINES_MAX {
                wrong.push(format!("{file}: {name}: {lines} lines, {FUNCTION_LINES_MAX} at most"));
            }
        }
    }
    assert!(seen > 500, "functions were found: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_undone() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["todo", "!("].concat(), ["unimplemented", "!("].concat()];
    let mut found = Vec::new();
    for file in tracked().iter().filter(|file| !file.ends_with(".lock") && !file.ends_with("package-lock.json")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                found.push(format!("{file}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn modules_are_named_for_what_they_do() {
    for file in rust_files() {
        for segment in file.trim_end_matches(".rs").split('/') {
            assert!(!["common", "util", "utils", "helper", "helpers", "misc", "manager"].contains(&segment), "{file}");
        }
    }
}

/// `(folder, what its production code never says, why)`.
const NEVER: &[(&str, &str, &str)] = &[
    ("waiting-room/", "gateway_core", "the front door knows nothing of booking"),
    ("gateway-core/", "waiting_room", "the core knows nothing of queues"),
    ("waiting-room/src/line/", "crate::store", "the line is pure"),
    ("waiting-room/src/line/", "tokio", "the line is pure"),
    ("waiting-room/src/store/", "crate::visitor", "arrows go down"),
    ("waiting-room/src/store/", "crate::operator", "arrows go down"),
    ("waiting-room/src/", "crate::operator::page", "the operator's pages are the operator's alone"),
    ("gateway-core/src/base", "crate::db", "ids, money and time are pure"),
    ("gateway-core/src/reservation/", "crate::http", "arrows go down"),
    ("gateway-core/src/payment/", "crate::http", "arrows go down"),
    ("gateway-core/src/reservation/", "crate::grpc", "arrows go down"),
    ("gateway-core/src/payment/", "crate::grpc", "arrows go down"),
    ("gateway-core/src/sandbox/", "crate::payment", "the provider is another world"),
    ("gateway-core/src/sandbox/", "crate::reservation", "the provider is another world"),
];

#[test]
fn imports_only_go_down() {
    let mut wrong = Vec::new();
    for file in rust_files().into_iter().filter(|file| !is_test(file)) {
        let text = read(&file);
        for (folder, never, why) in NEVER {
            let own = never.starts_with("crate::operator") && file.starts_with("waiting-room/src/operator");
            if file.starts_with(folder) && !own && production(&text).lines().any(|line| uses(line, never)) {
                wrong.push(format!("{file} says {never}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn uses(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"))
}

#[test]
fn sql_stands_in_stores_only() {
    let mut wrong = Vec::new();
    for file in rust_files().into_iter().filter(|file| !is_test(file) && file.starts_with("gateway-core/src/")) {
        let tests_only = file.ends_with("/testing.rs");
        if file.contains("store") || file.starts_with("gateway-core/src/db") || tests_only {
            continue;
        }
        let text = read(&file);
        let sql = |line: &str| {
            let line = line.trim_start().trim_start_matches('"');
            ["select ", "insert into ", "update ", "delete from "].iter().any(|verb| line.starts_with(verb))
                && !line.starts_with("//")
        };
        if production(&text).lines().any(sql) {
            wrong.push(file);
        }
    }
    assert!(wrong.is_empty(), "SQL outside of a store: {wrong:?}");
}

#[test]
fn banned_crates_stay_out() {
    let lock = read("Cargo.lock");
    for banned in ["openssl-sys", "native-tls", "rsa"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"")), "{banned}");
    }
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal,build", "--prefix", "none", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.contains("aws-lc-rs v"), "the tree was read: {tree}");
    assert!(!tree.lines().any(|line| line.starts_with("ring v")), "aws-lc is the one crypto provider");
}

#[test]
fn the_readme_shows_the_help_as_it_is() {
    let help =
        Command::new(env!("CARGO_BIN_EXE_vestibule")).arg("--help").env("COLUMNS", "110").output().expect("runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let commands = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).expect("commands");
    let readme = read("README.md");
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap_or_default();
        assert!(
            readme.contains(&format!("`vestibule {name}")) || name == "help",
            "README.md does not tell of `{name}`"
        );
    }
}

/// Every name between quotes that `accept` takes, in the production code of these files.
fn quoted(files: impl Iterator<Item = String>, accept: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let text = read(&file);
        let code = production(&text).lines().filter(|line| !line.trim_start().starts_with("//"));
        names.extend(
            code.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|name| accept(name)).map(ToOwned::to_owned),
        );
    }
    names
}

/// The first code span of each row in a page's table under a heading.
fn listed(page: &str, heading: &str) -> BTreeSet<String> {
    let text = read(page);
    let part = text.split(heading).nth(1).unwrap_or_else(|| panic!("{page} has no {heading}"));
    let part = part.split("\n## ").next().unwrap_or_default();
    part.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split('`').next())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_docs_list_every_problem() {
    let files = ["gateway-core/src/http/problem.rs", "waiting-room/src/problem.rs"].map(ToOwned::to_owned);
    let is_code = |name: &str| name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let not_codes = [
        "application",
        "type",
        "title",
        "status",
        "detail",
        "code",
        "retry",
        "safe",
        "after_change",
        "never",
        "request_id",
        "retry_after_ms",
    ];
    let codes: BTreeSet<String> =
        quoted(files.into_iter(), is_code).into_iter().filter(|name| !not_codes.contains(&name.as_str())).collect();
    assert_eq!(listed("docs/api.md", "## What it answers when something is wrong"), codes);
}

#[test]
fn the_docs_list_every_metric() {
    // Each crate has them on one page; `src/telemetry/` has those of all servers.
    let pages = rust_files()
        .into_iter()
        .filter(|file| !is_test(file) && (file.ends_with("/metrics.rs") || file.starts_with("src/telemetry/")));
    let metrics = quoted(pages, |name| name.starts_with("vestibule_"));
    assert_eq!(listed("docs/operating.md", "# Operating"), metrics);
}

/// Every route of the core, as `GET /films/{id}`.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for file in rust_files().into_iter().filter(|file| !is_test(file) && file.starts_with("gateway-core/src/http")) {
        let text = read(&file);
        for part in production(&text).split(".route(\"").skip(1) {
            let (path, rest) = part.split_once('"').expect("a path between quotes");
            let handlers = rest.lines().next().unwrap_or_default();
            for method in ["get", "post", "put", "patch", "delete"] {
                if [' ', '.'].iter().any(|before| handlers.contains(&format!("{before}{method}("))) {
                    routes.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
    }
    routes
}

#[test]
fn the_docs_list_every_route() {
    assert_eq!(listed("docs/api.md", "## Routes of the core"), routes());
}
