//! `busyhour profile`: several collectors by name. They are kept in one file that only its owner may
//! read; a token goes into it and never out of it again, other than to its collector.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Outcome;
use crate::args::{DEFAULT_COLLECTOR, Global};
use crate::client::{Envelope, Item};
use crate::credential::read_secret;
use crate::output::{Column, Printer};
use crate::profile_args::ProfileCommand;

const PROFILES: &[Column] = &[
    ("name", "name"),
    ("in_use", "in use"),
    ("collector", "collector"),
    ("has_token", "token"),
    ("ca_file", "certificates"),
];
/// The longest name of a profile, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The file of profiles.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, rename = "profile")]
    all: BTreeMap<String, Profile>,
}

/// A collector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    collector: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
}

/// A token that no message shows.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Which collector is asked, and with what.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Its address.
    pub(crate) collector: String,
    /// The token of the profile.
    pub(crate) token: Option<String>,
    /// The file with the token that was said, where it is for this collector.
    pub(crate) token_file: Option<PathBuf>,
    /// The certificates that its own is checked against.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Where the options that choose were said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources {
    collector: Said,
    profile: Said,
    token_file: Said,
    ca_file: Said,
}

impl Sources {
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let said = |name: &str| Said::of(matches.value_source(name));
        Self {
            collector: said("collector"),
            profile: said("profile"),
            token_file: said("api_token_file"),
            ca_file: said("ca_file"),
        }
    }
}

/// Where an option was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Flag,
    Environment,
    Nowhere,
}

impl Said {
    fn of(source: Option<ValueSource>) -> Self {
        match source {
            Some(ValueSource::CommandLine) => Self::Flag,
            Some(ValueSource::EnvVariable) => Self::Environment,
            _ => Self::Nowhere,
        }
    }
}

/// Chooses the collector: what the command line says goes before the environment, that before the
/// profile in use. A profile's token is for its own collector alone.
///
/// # Errors
/// When an address and a profile are said in one breath, or there is no such profile.
pub(crate) fn choose(global: &Global, sources: Sources) -> anyhow::Result<Chosen> {
    let (by_address, by_profile) = (sources.collector, sources.profile);
    let plain = |collector: &str| Chosen {
        collector: collector.to_owned(),
        token: None,
        token_file: global.api_token_file.clone(),
        ca_file: global.ca_file.clone(),
    };
    if by_address != Said::Nowhere && by_address == by_profile {
        bail!("say either which collector or which profile, not both");
    }
    if let Some(address) = global.collector.as_deref().filter(|_| by_address < by_profile) {
        return Ok(plain(address));
    }
    let path = file_of_profiles();
    let mut profiles = match &path {
        Some(path) => Profiles::read(path)?,
        None => Profiles::default(),
    };
    let named = global.profile.clone().filter(|_| by_profile != Said::Nowhere);
    let Some(name) = named.or_else(|| profiles.current.take()) else {
        return Ok(plain(DEFAULT_COLLECTOR));
    };
    let Some(profile) = profiles.all.remove(&name) else { return Err(no_profile(&name)) };
    // What the environment says may be for another collector than that of a profile: a profile's own goes
    // first, and a profile that the command line names is asked with nothing else.
    let is_for_it =
        |said: Said, has_own: bool| said == Said::Flag || (by_profile != Said::Flag && !has_own);
    let token_file = global.api_token_file.clone();
    let ca_file = global.ca_file.clone();
    Ok(Chosen {
        collector: profile.collector,
        token_file: token_file.filter(|_| is_for_it(sources.token_file, profile.token.is_some())),
        ca_file: ca_file
            .filter(|_| is_for_it(sources.ca_file, profile.ca_file.is_some()))
            .or(profile.ca_file),
        token: profile.token.map(|token| token.0),
    })
}

pub(crate) fn run(
    printer: &Printer,
    ca_file: Option<&Path>,
    command: ProfileCommand,
) -> anyhow::Result<Outcome> {
    let path = file_of_profiles().context("there is no HOME to keep profiles in")?;
    let mut profiles = Profiles::read(&path)?;
    match command {
        ProfileCommand::Add { name, url, token_file, is_used } => {
            let added = profile(&name, &url, token_file.as_deref(), ca_file)?;
            let is_first = profiles.all.is_empty();
            profiles.all.insert(name.clone(), added);
            if is_used || is_first {
                profiles.current = Some(name.clone());
            }
            profiles.write(&path)?;
            let in_use = profiles.current.as_ref() == Some(&name);
            let how = if in_use { "in use" } else { "kept; `busyhour profile use` uses it" };
            eprintln!("{name} is {how}");
        }
        ProfileCommand::Ls => printer.rows(&profiles.listed(), PROFILES)?,
        ProfileCommand::Use { name, .. } => {
            if let Some(name) = name.as_deref().filter(|name| !profiles.all.contains_key(*name)) {
                return Err(no_profile(name));
            }
            profiles.current = name;
            profiles.write(&path)?;
            eprintln!("{} is in use", profiles.current.as_deref().unwrap_or("no profile"));
        }
        ProfileCommand::Rm { name } => {
            if profiles.all.remove(&name).is_none() {
                return Err(no_profile(&name));
            }
            profiles.current.take_if(|current| *current == name);
            profiles.write(&path)?;
            eprintln!("{name} is forgotten");
        }
    }
    Ok(Outcome::Done)
}

fn no_profile(name: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no profile {name:?}; `busyhour profile ls` lists them, `busyhour profile add` makes one"
    )
}

fn profile(
    name: &str,
    collector: &str,
    token_file: Option<&Path>,
    ca_file: Option<&Path>,
) -> anyhow::Result<Profile> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
        bail!(
            "{name:?} cannot be a profile's name: letters, digits, dots, hyphens and underscores"
        );
    }
    if !collector.starts_with("http://") && !collector.starts_with("https://") {
        bail!(
            "{collector:?} is not a collector's address: expected, for example, {DEFAULT_COLLECTOR:?}"
        );
    }
    let token = token_file.map(|file| read_secret("the token", Some(file))).transpose()?;
    let token = token.map(|token| token.trim().to_owned());
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        bail!("what is in the file is no API token");
    }
    let absolute = |file: &Path| {
        fs::canonicalize(file).with_context(|| format!("find the certificates {}", file.display()))
    };
    Ok(Profile {
        collector: collector.trim_end_matches('/').to_owned(),
        ca_file: ca_file.map(absolute).transpose()?,
        token: token.map(Token),
    })
}

impl Profiles {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("read the profiles in {}", path.display());
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error).with_context(reading),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).with_context(reading)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                let path = path.display();
                bail!("{path} has tokens and others may read it (mode {mode:o}): chmod 600 {path}");
            }
        }
        // What is wrong is told by its line: the error itself would show that, with the token in it.
        let parsed: Result<Self, toml::de::Error> = toml::from_str(&text);
        parsed.map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            anyhow::anyhow!("{}: line {line} is not as it should be", path.display())
        })
    }

    /// Replaces the file in one step.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let writing = || format!("write the profiles to {}", path.display());
        let folder = path.parent().with_context(writing)?;
        fs::create_dir_all(folder).with_context(writing)?;
        let text = toml::to_string(self).with_context(writing)?;
        // A new file of its own has mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(writing)?;
        file.write_all(text.as_bytes()).with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        file.persist(path).with_context(writing)?;
        Ok(())
    }

    /// Without the tokens.
    fn listed(&self) -> Envelope {
        let row = |(name, profile): (&String, &Profile)| {
            let row = json!({
                "in_use": self.current.as_ref() == Some(name),
                "name": name,
                "collector": profile.collector,
                "has_token": profile.token.is_some(),
                "ca_file": profile.ca_file.as_ref().map(|file| file.display().to_string()),
            });
            row.as_object().cloned().unwrap_or_else(Item::new)
        };
        Envelope::new(self.all.iter().map(row).collect())
    }
}

fn file_of_profiles() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = folder("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(config.join("busyhour").join("profiles.toml"))
}
