//! `busyhour token`: what lets machines in as agents.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::TokenCommand;
use crate::client::Client;
use crate::output::{Column, Printer};
use crate::secret_file::SecretFile;
use crate::show::{Kind, pick};

const TOKENS: &[Column] = &[
    ("id", "id"),
    ("state", "state"),
    ("building", "building"),
    ("subnet", "subnet"),
    ("uses_left", "lets in"),
    ("uses", "of"),
    ("approval", "approval"),
    ("peers", "from"),
    ("expires_utc", "until"),
    ("created_by", "made by"),
    ("refused", "refused"),
];

const TOKEN: Kind = Kind { what: "token", keys: &["id"], ls: "token ls" };

pub(crate) fn run(
    client: &Client,
    printer: &Printer,
    command: TokenCommand,
) -> anyhow::Result<Outcome> {
    match command {
        TokenCommand::Create { building, subnet, uses, ttl, from, approve, token_file } => {
            let body = json!({
                "building": building,
                "subnet": subnet.map(|subnet| subnet.to_string()),
                "uses": uses,
                "life_s": u64::try_from(ttl.as_secs()).unwrap_or(0),
                "peers": from.map(|from| from.to_string()),
                "approval": approve,
            });
            // First the file: a token that cannot be written would be lost.
            let file = token_file.as_deref().map(SecretFile::create).transpose()?;
            let made = client.post("/api/v1/tokens", &body)?;
            let text = |key: &str| made.get(key).and_then(Value::as_str);
            let token = text("token").context("the collector gave no token")?;
            match file {
                Some(file) => file.write(token)?,
                None => println!("{token}"),
            }
            let (id, until) = (text("id").unwrap_or("?"), text("expires_utc").unwrap_or("?"));
            let machines =
                if uses == 1 { "one machine".to_owned() } else { format!("{uses} machines") };
            eprintln!("token {id} lets {machines} in until {until}; it is not shown again");
        }
        TokenCommand::Ls => printer.rows(&client.list("/api/v1/tokens", &[])?, TOKENS)?,
        TokenCommand::Show { id } => {
            let tokens = client.list("/api/v1/tokens", &[])?;
            printer.one(&pick(tokens, &TOKEN, &id)?, TOKENS)?;
        }
        TokenCommand::Revoke { id } => {
            client.delete(&format!("/api/v1/tokens/{}", word(&id)?), &[])?;
            eprintln!("token {id} lets nobody in any more");
        }
    }
    Ok(Outcome::Done)
}

/// A token's id as it may stand in an address.
fn word(id: &str) -> anyhow::Result<&str> {
    if id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id);
    }
    bail!("{id:?} is no token's id: `busyhour token ls` lists them")
}
