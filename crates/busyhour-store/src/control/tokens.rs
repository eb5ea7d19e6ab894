//! Tokens that let agents in, and the one transaction that redeems them.

use std::net::IpAddr;

use busyhour_model::{AgentId, BuildingId, UtcMicros};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{agents, audit, id, identity, inventory, parsed, parsed_option, place};
use crate::{
    Act, Approval, AuditAction, AuditSubject, Binding, Enrolment, IdentityState, LetIn, NewToken,
    TokenId, TokenPlace, TokenRefusal, TokenRow,
};

/// So long the same token and key give the same agent again.
const AGAIN_US: i64 = 10 * 60 * 1_000_000;
/// So many refusals of a token are counted and audited: beyond, nothing is written, so that nobody with
/// a token that is of no use any more makes the disk busy.
const COUNTED_REFUSALS: u32 = 16;

pub(super) const TOKENS: &str = "SELECT id, building, prefix, egress, peers, uses, uses_left, approval, created_us, \
     created_by, expires_us, revoked_us, refused, secret_sha256 FROM enrolment_tokens \
     ORDER BY created_us DESC, id";
pub(super) const TOKEN: &str = "SELECT id, building, prefix, egress, peers, uses, uses_left, approval, created_us, \
     created_by, expires_us, revoked_us, refused, secret_sha256 FROM enrolment_tokens WHERE id = ?1";
pub(super) const OLD_TOKENS: &str = "DELETE FROM enrolment_tokens WHERE expires_us < ?1";

/// What can be said of an attempt to keep a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    Done,
    NoSuchPlace,
    Taken,
}

pub(super) fn add(sql: &Connection, token: &NewToken, by: &Act) -> rusqlite::Result<Added> {
    let TokenPlace { building, subnet } = token.place;
    let in_force = inventory::buildings(sql)?.iter().any(|found| found.id == building);
    let known = |prefix, egress| -> rusqlite::Result<bool> {
        Ok(inventory::subnets(sql)?.iter().any(|found| {
            found.building == building && found.prefix == prefix && found.egress == egress
        }))
    };
    let exists = match subnet {
        None => in_force,
        Some((prefix, egress)) => in_force && known(prefix, egress)?,
    };
    if !exists {
        return Ok(Added::NoSuchPlace);
    }
    let added = sql
        .prepare_cached(
            "INSERT INTO enrolment_tokens (id, secret_sha256, building, prefix, egress, peers, approval, \
             uses, uses_left, created_us, created_by, expires_us, refused) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            token.id.bits().cast_signed(),
            token.secret_sha256,
            building.to_bytes(),
            subnet.map(|(prefix, _)| prefix.to_string()),
            subnet.and_then(|(_, egress)| egress).map(|egress| egress.to_string()),
            token.peers.map(|peers| peers.to_string()),
            token.approval.as_str(),
            token.uses,
            by.at.0,
            by.actor.as_str(),
            token.expires.0,
        ])?;
    if added == 0 {
        return Ok(Added::Taken);
    }
    let place = subnet.map_or_else(|| "building".to_owned(), |(prefix, _)| prefix.to_string());
    let detail = format!("place={place} uses={} approval={}", token.uses, token.approval.as_str());
    audit::note(sql, by, AuditAction::TokenMade, AuditSubject::Token(token.id), &detail)?;
    Ok(Added::Done)
}

pub(super) fn tokens(sql: &Connection) -> rusqlite::Result<Vec<TokenRow>> {
    sql.prepare_cached(TOKENS)?.query_map([], token_row)?.collect()
}

/// False when there is no such token.
pub(super) fn revoke(sql: &Connection, token: TokenId, by: &Act) -> rusqlite::Result<bool> {
    let Some((row, _)) = find(sql, token)? else { return Ok(false) };
    if row.revoked.is_none() {
        sql.prepare_cached("UPDATE enrolment_tokens SET revoked_us = ?2 WHERE id = ?1")?
            .execute(params![token.bits().cast_signed(), by.at.0])?;
        let detail = format!("uses_left={}", row.uses_left);
        audit::note(sql, by, AuditAction::TokenRevoked, AuditSubject::Token(token), &detail)?;
    }
    Ok(true)
}

pub(super) fn enrol(
    sql: &Connection,
    enrolment: &Enrolment,
) -> rusqlite::Result<Result<LetIn, TokenRefusal>> {
    let Some((token, secret_sha256)) = find(sql, enrolment.token)? else {
        return Ok(Err(TokenRefusal::Unknown));
    };
    if !same(&secret_sha256, &enrolment.secret_sha256) {
        return Ok(Err(TokenRefusal::Unknown));
    }
    if let Some(again) = enrolled_again(sql, enrolment, &token)? {
        return Ok(Ok(again));
    }
    match refusal(sql, enrolment, &token)? {
        Some(refusal) => {
            note_refusal(sql, enrolment, &token, refusal)?;
            Ok(Err(refusal))
        }
        None => let_in(sql, enrolment, &token).map(Ok),
    }
}

/// Compares without telling by time where the difference is.
fn same(kept: &[u8; 32], shown: &[u8; 32]) -> bool {
    let difference = kept.iter().zip(shown).fold(0, |seen, (kept, shown)| seen | (kept ^ shown));
    std::hint::black_box(difference) == 0
}

/// The agent that this token let in with this key a moment ago; it gets the certificate of now.
fn enrolled_again(
    sql: &Connection,
    enrolment: &Enrolment,
    token: &TokenRow,
) -> rusqlite::Result<Option<LetIn>> {
    if token.revoked.is_some() {
        return Ok(None);
    }
    let Some(agent) = identity::key_owner(sql, &enrolment.certificate.key_sha256)? else {
        return Ok(None);
    };
    let Some(known) = identity::known(sql, agent)? else { return Ok(None) };
    let since_us = enrolment.at.0.saturating_sub(known.row.enrolled.0);
    let usable = matches!(known.row.state, IdentityState::Active | IdentityState::Waiting);
    if known.row.token != token.id || since_us > AGAIN_US || !usable || known.confirmed > 0 {
        return Ok(None);
    }
    identity::put_current(sql, agent, &enrolment.certificate)?;
    identity::let_in(sql, &known.row).map(Some)
}

/// Why a token whose secret was shown lets this one not in. Counts a use down when it does.
fn refusal(
    sql: &Connection,
    enrolment: &Enrolment,
    token: &TokenRow,
) -> rusqlite::Result<Option<TokenRefusal>> {
    if token.revoked.is_some() {
        return Ok(Some(TokenRefusal::Revoked));
    }
    if token.expires <= enrolment.at {
        return Ok(Some(TokenRefusal::Expired));
    }
    let from_there =
        |peer: IpAddr| token.peers.is_none_or(|peers| peers.contains(&peer.to_canonical()));
    if !enrolment.peer.map_or(token.peers.is_none(), from_there) {
        return Ok(Some(TokenRefusal::Address));
    }
    if identity::key_owner(sql, &enrolment.certificate.key_sha256)?.is_some() {
        return Ok(Some(TokenRefusal::Key));
    }
    let counted = sql
        .prepare_cached(
            "UPDATE enrolment_tokens SET uses_left = uses_left - 1 WHERE id = ?1 AND uses_left > 0",
        )?
        .execute([token.id.bits().cast_signed()])?;
    Ok((counted != 1).then_some(TokenRefusal::Used))
}

fn note_refusal(
    sql: &Connection,
    enrolment: &Enrolment,
    token: &TokenRow,
    refusal: TokenRefusal,
) -> rusqlite::Result<()> {
    if token.refused >= COUNTED_REFUSALS {
        return Ok(());
    }
    sql.prepare_cached("UPDATE enrolment_tokens SET refused = refused + 1 WHERE id = ?1")?
        .execute([token.id.bits().cast_signed()])?;
    let by = Act::by_collector(enrolment.at);
    let detail = format!("reason={}", refusal.as_str());
    audit::note(sql, &by, AuditAction::TokenRefused, AuditSubject::Token(token.id), &detail)
}

fn let_in(sql: &Connection, enrolment: &Enrolment, token: &TokenRow) -> rusqlite::Result<LetIn> {
    let Enrolment { agent, at, certificate, .. } = enrolment;
    put_agent(sql, *agent, token.place.building, *at)?;
    let state = match token.approval {
        Approval::Automatic => IdentityState::Active,
        Approval::Manual => IdentityState::Waiting,
    };
    sql.prepare_cached(
        "INSERT INTO identities (agent, token, building, enrolled_us, state, state_us, reason, late, off_site, \
         sessions, serial, key_sha256, from_us, until_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?4, '', 0, 0, 0, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        agent.to_bytes(),
        token.id.bits().cast_signed(),
        token.place.building.to_bytes(),
        at.0,
        state.as_str(),
        certificate.serial,
        certificate.key_sha256,
        certificate.from.0,
        certificate.until.0,
    ])?;
    let binding = match token.place.subnet {
        Some((prefix, egress)) => Binding::Subnet { prefix, egress },
        None => Binding::Address,
    };
    agents::put_binding(sql, *agent, binding, *at)?;
    place::place_one(sql, *agent, *at)?;
    let by = Act::by_collector(*at);
    let detail = format!("token={} state={}", token.id, state.as_str());
    audit::note(sql, &by, AuditAction::AgentEnrolled, AuditSubject::Agent(*agent), &detail)?;
    let known = identity::known(sql, *agent)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    identity::let_in(sql, &known.row)
}

/// The agent's own row. People call it by its building and the end of its identity; where that is
/// taken, by the whole of it.
fn put_agent(
    sql: &Connection,
    agent: AgentId,
    building: BuildingId,
    at: UtcMicros,
) -> rusqlite::Result<()> {
    let building: Option<String> = sql
        .prepare_cached("SELECT name FROM buildings WHERE id = ?1 AND valid_until_us IS NULL")?
        .query_row([building.to_bytes()], |row| row.get(0))
        .optional()?;
    let end = agent.as_u128() & 0xffff_ffff;
    let short = building.map(|building| format!("{building}-{end:08x}"));
    for name in short.into_iter().chain([agent.to_string()]) {
        let added = sql
            .prepare_cached(
                "INSERT INTO agents (id, name, secret_sha256, simulated, added_us) \
                 SELECT ?1, ?2, NULL, 0, ?3 WHERE NOT EXISTS \
                 (SELECT 1 FROM agents WHERE name = ?2 AND removed_us IS NULL)",
            )?
            .execute(params![agent.to_bytes(), name, at.0])?;
        if added == 1 {
            return Ok(());
        }
    }
    Err(rusqlite::Error::QueryReturnedNoRows)
}

fn find(sql: &Connection, token: TokenId) -> rusqlite::Result<Option<(TokenRow, [u8; 32])>> {
    sql.prepare_cached(TOKEN)?
        .query_row([token.bits().cast_signed()], |row| Ok((token_row(row)?, row.get(13)?)))
        .optional()
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let subnet = match parsed_option(row, 2)? {
        Some(prefix) => Some((prefix, parsed_option(row, 3)?)),
        None => None,
    };
    Ok(TokenRow {
        id: TokenId::from_bits(row.get::<_, i64>(0)?.cast_unsigned()),
        place: TokenPlace { building: id(row, 1, BuildingId::from_u128)?, subnet },
        peers: parsed_option(row, 4)?,
        uses: row.get(5)?,
        uses_left: row.get(6)?,
        approval: parsed(row, 7)?,
        created: UtcMicros(row.get(8)?),
        created_by: row.get(9)?,
        expires: UtcMicros(row.get(10)?),
        revoked: row.get::<_, Option<i64>>(11)?.map(UtcMicros),
        refused: row.get(12)?,
    })
}
