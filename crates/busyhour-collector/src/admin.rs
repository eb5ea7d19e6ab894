//! What helps who has the machine's console and no way in: an administrator's new password.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write};

use anyhow::{Context as _, bail};
use busyhour_api::new_password;
use busyhour_store::{Accounts as _, Act, Role, open};

use crate::args::ResetArgs;
use crate::maintenance::data_dir;
use crate::run::{raw_config, utc_now};

/// No password that is read has more bytes.
const MAX_PASSWORD_BYTES: u64 = 4_096;

/// Gives an administrator another password, while the collector is stopped.
pub(crate) fn run_reset(args: &ResetArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    // No more than it needs: secrets of a service manager are there only while the collector runs.
    let retention = raw_config(&args.data.config)?.resolve_retention();
    let retention = retention.context("the configuration cannot be used")?;
    let directory = data_dir(&args.data)?;
    if !directory.is_dir() {
        bail!("there is no store in {}", directory.display());
    }
    let (_, control) = open(&directory, retention)
        .with_context(|| format!("open the store in {}", directory.display()))?;
    let mut administrators = control.users().context("read the users")?;
    administrators.retain(|user| user.grant.role() == Role::Administrator);
    if administrators.is_empty() {
        bail!(
            "there is no administrator yet: start the collector, it prints a code for the first one"
        );
    }
    let Some(user) = administrators.iter().find(|user| user.name.as_str() == args.name) else {
        let names: Vec<&str> = administrators.iter().map(|user| user.name.as_str()).collect();
        bail!("no administrator is named {:?}; there are: {}", args.name, names.join(", "));
    };
    let password = read_password()?;
    let hash = new_password(&password, user.name.as_str()).context("take the password")?;
    let by = Act::by_operator(utc_now());
    control.set_password(user.number, &hash, None, &by).context("set the password")?;
    writeln!(out, "{} has a new password, and all sessions of that name ended", user.name)?;
    Ok(())
}

/// What is typed unseen, twice; or the first line of standard input.
fn read_password() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let asked = |text| rpassword::prompt_password(text).context("ask for the password");
        let (password, again) = (asked("new password: ")?, asked("the same again: ")?);
        if password != again {
            bail!("the two are not the same");
        }
        return Ok(password);
    }
    let mut line = String::new();
    let read = stdin.lock().take(MAX_PASSWORD_BYTES).read_line(&mut line);
    read.context("read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
