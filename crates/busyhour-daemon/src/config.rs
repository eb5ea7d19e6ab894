//! Layered configuration: file, then environment, then flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The beginning of every environment variable that is configuration.
const PREFIX: &str = "BUSYHOUR__";
/// Between section and field in an environment variable.
const SEPARATOR: &str = "__";

/// A configuration that cannot be used. The cause names the key and where it came from.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path:?} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path:?} is not TOML")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        source: Box<config::ConfigError>,
    },
    /// A key is unknown, or its value has the wrong type.
    #[error("{}", invalid(.file.as_deref()))]
    Invalid {
        /// The file, if there was one.
        file: Option<PathBuf>,
        /// Which key, from where, and what is wrong.
        source: Box<config::ConfigError>,
    },
    /// A flag or variable is not `key=value`.
    #[error("{0:?} is not an override (expected SECTION.FIELD=VALUE)")]
    Override(String),
}

fn invalid(file: Option<&Path>) -> String {
    file.map_or_else(
        || "configuration from environment and flags is not valid".to_owned(),
        |path| format!("configuration from {path:?}, environment and flags is not valid"),
    )
}

/// Reads a configuration: the defaults of `T`, then the TOML `file`, then the environment
/// (`BUSYHOUR__SECTION__FIELD`), then `overrides` (`section.field`, value), the later winning.
///
/// A value that begins with `[` or `{` is read as TOML; any other is a text that is converted to
/// what the field wants. Whether unknown fields are errors is up to `T`: every section says
/// `#[serde(deny_unknown_fields)]`.
///
/// # Errors
/// When the file cannot be read or parsed, or a key is unknown or of the wrong type.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    overrides: &[(String, String)],
) -> Result<T, ConfigError> {
    load_from(file, std::env::vars_os().filter_map(utf8), overrides)
}

/// Reads a TOML file alone, whatever the environment says.
///
/// # Errors
/// When the file cannot be read or parsed, or a key is unknown or of the wrong type.
pub fn load_file<T: DeserializeOwned>(file: &Path) -> Result<T, ConfigError> {
    load_from(Some(file), std::iter::empty(), &[])
}

/// Takes `section.field=value` apart.
///
/// # Errors
/// When there is no `=` or nothing before it.
pub fn parse_override(text: &str) -> Result<(String, String), ConfigError> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(ConfigError::Override(text.to_owned())),
    }
}

fn utf8((key, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((key.into_string().ok()?, value.into_string().ok()?))
}

fn load_from<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    overrides: &[(String, String)],
) -> Result<T, ConfigError> {
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(read_file(path)?);
    }
    let environment = environment.filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX)?.to_lowercase().replace(SEPARATOR, ".");
        Some((key, format!("environment variable {name}"), value))
    });
    let flags = overrides
        .iter()
        .map(|(key, value)| (key.clone(), format!("flag {key}={value}"), value.clone()));
    let invalid = |source: config::ConfigError| ConfigError::Invalid {
        file: file.map(Path::to_owned),
        source: source.into(),
    };
    builder
        .add_source(Layer::new(environment))
        .add_source(Layer::new(flags))
        .build()
        .and_then(Config::try_deserialize)
        .map_err(invalid)
}

/// The file as a source whose values remember where they came from.
fn read_file(path: &Path) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let values = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .and_then(|parsed| parsed.collect())
        .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: source.into() })?;
    let origin = path.display().to_string();
    let named = |value: Value| Value::new(Some(&origin), value.kind);
    Ok(Layer(values.into_iter().map(|(key, value)| (key, named(value))).collect()))
}

/// One layer of dotted keys with their values.
#[derive(Debug, Clone)]
struct Layer(BTreeMap<String, Value>);

impl Layer {
    /// Builds a layer from (key, where it came from, text).
    fn new(entries: impl Iterator<Item = (String, String, String)>) -> Self {
        let mut values = BTreeMap::new();
        for (key, origin, text) in entries {
            let kind = parse_toml(&text).unwrap_or(ValueKind::String(text));
            values.insert(key, Value::new(Some(&origin), kind));
        }
        Self(values)
    }
}

/// A list or table; `None` for any other text, which then is taken as it is.
fn parse_toml(text: &str) -> Option<ValueKind> {
    if !text.starts_with(['[', '{']) {
        return None;
    }
    let document = format!("value = {text}");
    let parsed = Config::builder().add_source(File::from_str(&document, FileFormat::Toml)).build();
    Some(parsed.ok()?.get::<Value>("value").ok()?.kind)
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::chain;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        spool: Spool,
        listen: Vec<String>,
        target: Vec<Target>,
    }

    impl Default for Example {
        fn default() -> Self {
            Self { spool: Spool::default(), listen: vec!["default".to_owned()], target: vec![] }
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Spool {
        max_bytes: u64,
        sync: bool,
        path: Option<String>,
    }

    impl Default for Spool {
        fn default() -> Self {
            Self { max_bytes: 1, sync: true, path: None }
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Target {
        name: String,
    }

    fn check(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Example, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let flags: Vec<_> = flags.iter().map(|text| parse_override(text).unwrap()).collect();
        load_from(Some(&path), environment, &flags).map_err(|error| chain(&error).to_string())
    }

    #[test]
    fn later_layers_win_field_by_field() {
        assert_eq!(check("", &[], &[]).unwrap(), Example::default());
        let file = "listen = [\"file\"]\n[spool]\nmax_bytes = 2\nsync = false\n";
        let environment = [("BUSYHOUR__SPOOL__MAX_BYTES", "3"), ("BUSYHOUR__SPOOL__PATH", "/e")];
        let loaded = check(file, &environment, &["spool.max_bytes=4"]).unwrap();
        assert_eq!(loaded.spool, Spool { max_bytes: 4, sync: false, path: Some("/e".to_owned()) });
        assert_eq!(loaded.listen, ["file"]);
        assert_eq!(check(file, &environment, &[]).unwrap().spool.max_bytes, 3);
    }

    #[test]
    fn lists_and_tables_are_written_as_toml_in_environment_and_flags() {
        let environment = [("BUSYHOUR__LISTEN", "[\"a\", \"b\"]"), ("BUSYHOUR_OTHER", "ignored")];
        let loaded = check("", &environment, &["target=[{name=\"t\"}]"]).unwrap();
        assert_eq!(loaded.listen, ["a", "b"]);
        assert_eq!(loaded.target, [Target { name: "t".to_owned() }]);
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_file_and_key() {
        let message = check("[spool]\nmax_byte = 2\n", &[], &[]).unwrap_err();
        for part in ["agent.toml", "max_byte", "spool"] {
            assert!(message.contains(part), "{message}");
        }
        let message = check("", &[("BUSYHOUR__SPOLL__X", "1")], &[]).unwrap_err();
        assert!(message.contains("spoll"), "{message}");
        let message = check("[[target]]\nname = \"a\"\nclas = \"b\"\n", &[], &[]).unwrap_err();
        assert!(message.contains("clas"), "{message}");
    }

    #[test]
    fn a_value_of_the_wrong_type_names_where_it_came_from() {
        let message = check("", &[("BUSYHOUR__SPOOL__MAX_BYTES", "many")], &[]).unwrap_err();
        for part in ["BUSYHOUR__SPOOL__MAX_BYTES", "spool.max_bytes", "many"] {
            assert!(message.contains(part), "{message}");
        }
        let message = check("", &[], &["listen=[::]:862"]).unwrap_err();
        for part in ["`listen`", "[::]:862"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_broken_or_missing_file_is_named() {
        let message = check("[spool", &[], &[]).unwrap_err();
        assert!(message.contains("agent.toml") && message.contains("not TOML"), "{message}");
        let missing = Path::new("/nowhere/agent.toml");
        let error = load_from::<Example>(Some(missing), std::iter::empty(), &[]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/agent.toml"), "{error}");
    }

    #[test]
    fn overrides_have_a_key() {
        assert_eq!(parse_override("a.b=c=d").unwrap(), ("a.b".to_owned(), "c=d".to_owned()));
        assert!(parse_override("a.b").is_err());
        assert!(parse_override("=c").is_err());
    }
}
