//! `busyhour login`, `logout`, `whoami`, `user` and `api-token`.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::Outcome;
use crate::account_args::{ApiTokenCommand, GrantArgs, LoginArgs, PasswordArgs, UserCommand};
use crate::client::{Client, Envelope, Item};
use crate::credential::{forget_session, keep_session, read_secret};
use crate::output::{Column, Printer, harmless};
use crate::secret_file::SecretFile;
use crate::show::{Kind, pick};

const WHO: &[Column] =
    &[("name", "name"), ("kind", "kind"), ("role", "role"), ("building_ids", "buildings")];
const USERS: &[Column] = &[
    ("name", "name"),
    ("role", "role"),
    ("buildings", "sees only"),
    ("added_utc", "added"),
    ("signed_in_utc", "signed in"),
    ("issuer", "proven by"),
];
const TOKENS: &[Column] = &[
    ("name", "name"),
    ("role", "role"),
    ("buildings", "sees only"),
    ("made_by", "made by"),
    ("added_utc", "made"),
    ("expires_utc", "expires"),
    ("expired", "expired"),
    ("used_utc", "last used"),
];

const USER: Kind = Kind { what: "user", keys: &["name"], ls: "user ls" };
const TOKEN: Kind = Kind { what: "API token", keys: &["name"], ls: "api-token ls" };

pub(crate) fn login(client: &Client, args: &LoginArgs) -> anyhow::Result<Outcome> {
    let password = password(&args.password)?;
    let body = json!({ "name": args.name, "password": password });
    begin(client, &client.post("/api/v1/sign-in", &body)?)
}

/// Keeps the session that an answer tells.
fn begin(client: &Client, answer: &Value) -> anyhow::Result<Outcome> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    let token = text("token").context("the collector gave no session")?;
    keep_session(client.base(), token)?;
    let (name, role) = (text("name").unwrap_or_default(), text("role").unwrap_or_default());
    let until = text("expires_utc").unwrap_or_default();
    eprintln!("signed in as {} ({}) until {until}", harmless(name), harmless(role));
    Ok(Outcome::Done)
}

pub(crate) fn logout(client: &Client) -> anyhow::Result<Outcome> {
    let ended = client.post("/api/v1/sign-out", &json!({}));
    // Here it ends in any case.
    forget_session(client.base())?;
    ended?;
    Ok(Outcome::Done)
}

pub(crate) fn whoami(client: &Client, printer: &Printer) -> anyhow::Result<Outcome> {
    let answer = client.get("/api/v1/whoami", &[])?;
    let mut item: Item = serde_json::from_str(&answer).context("read the answer")?;
    item.remove("schema_version");
    printer.one(&Envelope::new(vec![item]), WHO)?;
    Ok(Outcome::Done)
}

pub(crate) fn user(
    client: &Client,
    printer: &Printer,
    command: UserCommand,
) -> anyhow::Result<Outcome> {
    match command {
        UserCommand::Ls => printer.rows(&client.list("/api/v1/users", &[])?, USERS)?,
        UserCommand::Show { name } => {
            printer.one(&pick(client.list("/api/v1/users", &[])?, &USER, &name)?, USERS)?;
        }
        UserCommand::First { name, code_file, password: from } => {
            let code = read_secret("the code", code_file.as_deref())?;
            let password = password(&from)?;
            let body = json!({ "code": code, "name": name, "password": password });
            return begin(client, &client.post("/api/v1/set-up", &body)?);
        }
        UserCommand::Add { name, grant, password: from } => {
            let mut body = granted(&grant);
            body["name"] = Value::from(name.as_str());
            body["password"] = Value::from(password(&from)?);
            client.post("/api/v1/users", &body)?;
            eprintln!("{} was added as {}", harmless(&name), grant.role.as_str());
        }
        UserCommand::Grant { name, grant } => {
            let address = format!("/api/v1/users/{}/grant", segment(&name)?);
            client.post(&address, &granted(&grant))?;
            eprintln!("{} is {} from now on", harmless(&name), grant.role.as_str());
        }
        UserCommand::Password { name, password: from } => {
            let address = format!("/api/v1/users/{}/password", segment(&name)?);
            client.post(&address, &json!({ "password": password(&from)? }))?;
            eprintln!("{} has another password, and no session any more", harmless(&name));
        }
        UserCommand::Rm { name } => {
            client.delete(&format!("/api/v1/users/{}", segment(&name)?), &[])?;
            eprintln!("{} was removed", harmless(&name));
        }
    }
    Ok(Outcome::Done)
}

pub(crate) fn api_token(
    client: &Client,
    printer: &Printer,
    command: ApiTokenCommand,
) -> anyhow::Result<Outcome> {
    match command {
        ApiTokenCommand::Ls => printer.rows(&client.list("/api/v1/api-tokens", &[])?, TOKENS)?,
        ApiTokenCommand::Show { name } => {
            let tokens = client.list("/api/v1/api-tokens", &[])?;
            printer.one(&pick(tokens, &TOKEN, &name)?, TOKENS)?;
        }
        ApiTokenCommand::Create { name, grant, days, to } => {
            // First of all: a token that cannot be kept is never made.
            let file = SecretFile::create(&to)?;
            let mut body = granted(&grant);
            body["name"] = Value::from(name.as_str());
            body["days"] = Value::from(days);
            let made = client.post("/api/v1/api-tokens", &body)?;
            let token = made.get("token").and_then(Value::as_str);
            file.write(token.context("the collector gave no token")?)?;
            let until = made.get("expires_utc").and_then(Value::as_str).unwrap_or_default();
            eprintln!("{} is good until {until}; it is in {}", harmless(&name), to.display());
        }
        ApiTokenCommand::Revoke { name } => {
            client.delete(&format!("/api/v1/api-tokens/{}", segment(&name)?), &[])?;
            eprintln!("{} was revoked", harmless(&name));
        }
    }
    Ok(Outcome::Done)
}

/// A password; typed ones are asked for once, as the collector tells nobody's.
fn password(from: &PasswordArgs) -> anyhow::Result<String> {
    read_secret("the password", from.password_file.as_deref())
}

fn granted(grant: &GrantArgs) -> Value {
    let mut body = json!({ "role": grant.role.as_str() });
    if !grant.buildings.is_empty() {
        body["buildings"] = json!(grant.buildings);
    }
    body
}

/// A name as a part of an address: accounts have no other characters.
fn segment(name: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) || name.bytes().all(|byte| byte == b'.') {
        anyhow::bail!("{name:?} is no account's name");
    }
    Ok(name)
}
