//! Each mistake in the settings is told with its place and a way out.

use std::fs;

use super::*;

fn arguments(config: Option<&Path>, set: &[&str]) -> SettingsArgs {
    SettingsArgs {
        config: config.map(Path::to_path_buf),
        data_dir: None,
        set: set.iter().map(|pair| (*pair).to_owned()).collect(),
    }
}

fn load(toml: &str, set: &[&str]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vestibule.toml");
    fs::write(&file, toml).unwrap();
    Config::load(&arguments(Some(&file), set)).map_err(|error| error.to_string())
}

fn mistake(toml: &str, set: &[&str]) -> String {
    load(toml, set).err().expect("these settings are wrong")
}

#[test]
fn an_empty_file_gives_the_documented_listeners() {
    let settings = load("", &[]).unwrap().settings;
    assert_eq!(settings.listen.door.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.listen.core.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.listen.core_grpc.to_string(), "127.0.0.1:8082");
    assert_eq!(settings.listen.operator.to_string(), "127.0.0.1:9090");
}

#[test]
fn a_secret_header_of_a_bypass_rule_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("monitor");
    fs::write(&secret, "x-monitor: s3cret \n").unwrap();
    let rule =
        |more: &str| format!("[[waiting_room.rooms.demo.bypass]]\nheader_file = \"{}\"\n{more}", secret.display());
    let settings = load(&rule(""), &[]).unwrap().settings;
    let rule_read = &settings.waiting_room.rooms["demo"].bypass[0];
    assert_eq!((rule_read.header.as_deref(), &rule_read.header_file), (Some("x-monitor: s3cret"), &None));
    assert!(mistake(&rule("header = \"a: b\"\n"), &[]).contains("one of them is enough"));
    fs::remove_file(&secret).unwrap();
    let said = mistake(&rule(""), &[]);
    assert!(said.contains("rooms.demo.bypass.header_file") && said.contains("cannot read"), "{said}");
}

#[test]
fn a_flag_beats_the_file() {
    let config = load("[listen]\ndoor = \"127.0.0.1:1\"\n", &["listen.door=127.0.0.1:2"]).unwrap();
    assert_eq!(config.settings.listen.door.port(), 2);
    assert!(config.is_set("listen.door") && !config.is_set("listen.core"));
}

#[test]
fn an_unknown_name_is_told_with_the_file_and_the_likely_one() {
    let text = mistake("[listen]\ndor = \"127.0.0.1:1\"\n", &[]);
    assert!(text.contains("vestibule.toml"), "{text}");
    assert!(text.contains("`listen.dor`") && text.contains("did you mean `door`?"), "{text}");
}

#[test]
fn an_unknown_name_far_from_all_lists_the_known_ones() {
    let text = mistake("[demo]\nzzzzzzzzzzzz = 1\n", &[]);
    assert!(text.contains("known here: seed, hold_ms, pay_ms"), "{text}");
}

#[test]
fn a_wrong_value_names_the_setting_and_what_is_expected() {
    let text = mistake("", &["start.patience_ms=soon"]);
    assert!(text.contains("`start.patience_ms`"), "{text}");
    let text = mistake("[listen]\ndoor = \"everywhere\"\n", &[]);
    assert!(text.contains("`listen.door`") && text.contains("socket address"), "{text}");
}

#[test]
fn a_wrong_name_in_a_flag_is_told_as_one() {
    let text = mistake("", &["listen.dor=127.0.0.1:1"]);
    assert!(text.starts_with("--set: ") && text.contains("did you mean `door`?"), "{text}");
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let text = mistake("[listen\n", &[]);
    assert!(text.contains("line 1"), "{text}");
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let error = Config::load(&arguments(Some(Path::new("/nonexistent/v.toml")), &[])).err().unwrap().to_string();
    assert!(error.contains("/nonexistent/v.toml"), "{error}");
}

#[test]
fn a_flag_without_a_value_says_how_to_write_it() {
    let text = mistake("", &["listen.door"]);
    assert!(text.contains("NAME=VALUE"), "{text}");
}

#[test]
fn addresses_that_nobody_set_follow_the_listeners() {
    let mut config = load("[core]\npublic_url = \"https://shop.example\"\n", &[]).unwrap();
    let listening = Listen { core: "127.0.0.1:4000".parse().unwrap(), ..Listen::default() };
    config.link_to(&listening);
    assert_eq!(config.settings.waiting_room.upstream, "http://127.0.0.1:4000");
    assert_eq!(config.settings.core.public_url, "https://shop.example");
    assert_eq!(config.settings.link.entry_keys_url, "http://127.0.0.1:8080/.waiting-room/jwks.json");
}

#[test]
fn the_example_file_is_accepted() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/example.toml");
    Config::load(&arguments(Some(&example), &[])).map_err(|error| error.to_string()).unwrap();
}

#[test]
fn a_password_is_never_printed() {
    assert_eq!(without_password("mysql://shop:s3cr3t@db:3306/core"), "mysql://shop:…@db:3306/core");
    assert_eq!(without_password("redis://:p@ss@h/0"), "redis://:…@h/0");
    assert_eq!(without_password("sqlite://data/core.db"), "sqlite://data/core.db");
    assert_eq!(without_password("memory"), "memory");
}
