//! Where settings come from, and the sentence for each mistake in them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Data, Env, Format, Serialized, Toml};
use figment::value::Value;
use figment::{Error, Figment, Metadata};

use crate::cli::SettingsArgs;

/// The file that is read when `--config` names none.
const DEFAULT_FILE: &str = "vestibule.toml";
/// Environment variables of the settings start with this; `__` stands between levels.
const PREFIX: &str = "VESTIBULE_";
/// `VESTIBULE_TEST_…` is for the test suites and never a setting.
const TEST_PREFIX: &str = "test_";
/// An unknown name this close to a known one is taken for a slip of the finger.
const SLIP_DISTANCE_MAX: usize = 3;

/// The settings cannot be used; the text says what is wrong, where, and what to do.
#[derive(Debug)]
pub(crate) struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl SettingsError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// All sources, the strongest last.
pub(super) fn collect(arguments: &SettingsArgs) -> Result<Figment, SettingsError> {
    let mut sources = Figment::new();
    if let Some(file) = settings_file(arguments.config.as_deref())? {
        sources = sources.merge(file);
    }
    sources = sources.merge(environment());
    for (name, path) in secret_files() {
        let text = fs::read_to_string(&path)
            .map_err(|error| SettingsError(format!("{PREFIX}{}_FILE: cannot read {path}: {error}", upper(&name))))?;
        sources = sources.merge(Serialized::global(&name, text.trim_end_matches(['\n', '\r']).to_owned()));
    }
    for pair in &arguments.set {
        let (name, value) = pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            SettingsError(format!("--set {pair}: write it as NAME=VALUE, as in listen.door=127.0.0.1:9000"))
        })?;
        sources = sources.merge(flag(name, value));
    }
    if let Some(data_dir) = &arguments.data_dir {
        sources = sources.merge(Serialized::global("data_dir", data_dir));
    }
    Ok(sources)
}

/// A named file must be there; the default file may be missing.
fn settings_file(named: Option<&Path>) -> Result<Option<Data<Toml>>, SettingsError> {
    let path = named.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
    match fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(Some(Toml::file_exact(path))),
        Ok(_) => Err(SettingsError(format!("{} is not a file", path.display()))),
        Err(_) if named.is_none() => Ok(None),
        Err(error) => Err(SettingsError(format!("cannot read the settings file {}: {error}", path.display()))),
    }
}

fn environment() -> Env {
    Env::prefixed(PREFIX)
        .filter(|name| !name.as_str().to_lowercase().starts_with(TEST_PREFIX) && !is_file_name(name.as_str()))
        .split("__")
}

/// `VESTIBULE_CORE__DATABASE_URL_FILE=/run/secrets/url` sets `core.database_url` to what the file holds.
fn secret_files() -> Vec<(String, String)> {
    Env::prefixed(PREFIX)
        .iter()
        .filter(|(name, _)| is_file_name(name.as_str()))
        .map(|(name, path)| {
            let name = name.as_str().to_lowercase();
            (name.trim_end_matches("_file").replace("__", "."), path)
        })
        .collect()
}

fn is_file_name(name: &str) -> bool {
    name.to_lowercase().ends_with("_file")
}

fn upper(name: &str) -> String {
    name.replace('.', "__").to_uppercase()
}

/// A value on the command line is read as one in the environment is: TOML where it can be, and text otherwise.
fn flag(name: &str, value: &str) -> Serialized<Value> {
    let Ok(value) = value.parse::<Value>();
    Serialized::global(name, value)
}

/// One sentence for each mistake: what, where, and what would be right.
pub(super) fn explain(error: Error, sources: &Figment) -> SettingsError {
    let lines: Vec<String> = error.into_iter().map(|error| sentence(&error, sources)).collect();
    SettingsError(lines.join("\n"))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "figment's own words do for every other kind, and for new ones")]
fn sentence(error: &Error, sources: &Figment) -> String {
    let name = error.path.join(".");
    let place = place(error.metadata.as_ref(), &name, sources);
    match &error.kind {
        Kind::UnknownField(field, known) => {
            let hint = nearest(field, known)
                .map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            format!("{place}: there is no setting `{}`; {hint}", joined(&error.path, field))
        }
        Kind::MissingField(field) => format!("{place}: `{}` is missing", joined(&error.path, field)),
        kind if name.is_empty() => format!("{place}: {kind}"),
        kind => format!("{place}: `{name}`: {kind}"),
    }
}

/// The full name of a field, whether or not the error's path already ends with it.
fn joined(path: &[String], field: &str) -> String {
    let mut names: Vec<&str> = path.iter().map(String::as_str).collect();
    if names.last() != Some(&field) {
        names.push(field);
    }
    names.join(".")
}

fn place(metadata: Option<&Metadata>, name: &str, sources: &Figment) -> String {
    let metadata = metadata.or_else(|| sources.find_metadata(name));
    match metadata.and_then(|metadata| metadata.source.as_ref()) {
        Some(figment::Source::File(path)) => path.display().to_string(),
        // What is set on the command line is known to figment by the type of the value.
        _ => match metadata {
            Some(metadata) if metadata.name.contains("::") => "--set".to_owned(),
            Some(metadata) => metadata.name.to_string(),
            None => "settings".to_owned(),
        },
    }
}

fn nearest<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(field, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= SLIP_DISTANCE_MAX)
        .map(|(_, name)| name)
}
