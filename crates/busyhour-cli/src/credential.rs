//! What a command proves itself with: an API token in a file, or the session of `busyhour login`.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::secret_file::SecretFile;

/// No secret that is read has more bytes.
const MAX_SECRET_BYTES: u64 = 4_096;

/// Reads a secret: the first line of a file or of standard input, or what is typed unseen.
pub(crate) fn read_secret(what: &str, file: Option<&Path>) -> anyhow::Result<String> {
    let line = match file {
        Some(path) if path == Path::new("-") => {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .take(MAX_SECRET_BYTES)
                .read_line(&mut line)
                .with_context(|| format!("read {what} from standard input"))?;
            line
        }
        Some(path) => first_line(path)?,
        None if std::io::stdin().is_terminal() => rpassword::prompt_password(format!("{what}: "))
            .with_context(|| format!("ask for {what}"))?,
        None => bail!("there is no terminal to ask for {what} on: give it in a file"),
    };
    let secret = line.trim_end_matches(['\r', '\n']).to_owned();
    if secret.is_empty() {
        bail!("{what} is empty");
    }
    Ok(secret)
}

fn first_line(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("read {}", path.display());
    let file = fs::File::open(path).with_context(reading)?;
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text).with_context(reading)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The token to ask a collector with: that of the file that was named, or else of the session that
/// was begun with that collector.
pub(crate) fn token(collector: &str, named: Option<&Path>) -> anyhow::Result<Option<String>> {
    if let Some(path) = named {
        let token = first_line(path)?.trim().to_owned();
        if token.is_empty() {
            bail!("there is no token in {}", path.display());
        }
        return Ok(Some(token));
    }
    let Some(path) = session_file(collector) else { return Ok(None) };
    match first_line(&path) {
        Ok(line) => Ok(Some(line.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(_) if !path.exists() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps the token of a session, for this collector alone.
pub(crate) fn keep_session(collector: &str, token: &str) -> anyhow::Result<()> {
    let path = session_file(collector).context(
        "there is no HOME to keep the session in: use an API token and --api-token-file",
    )?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    forget_session(collector)?;
    SecretFile::create(&path)?.write(token)
}

/// Deletes the token of a session.
pub(crate) fn forget_session(collector: &str) -> anyhow::Result<()> {
    let Some(path) = session_file(collector) else { return Ok(()) };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// One file for each collector, so that no other one is ever sent its token.
fn session_file(collector: &str) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = folder("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| Path::new(&home).join(".local/state")))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let name: String = collector.trim_end_matches('/').chars().map(plain).collect();
    Some(state.join("busyhour").join(format!("session-{name}")))
}
