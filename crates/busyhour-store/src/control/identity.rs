//! Identities of agents with certificates: where each stands, and every change of it.

use busyhour_model::{AgentId, BuildingId, UtcMicros};
use ipnet::IpNet;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{audit, id, parsed, parsed_option, place};
use crate::sqlite::DAY_MICROS;
use crate::{
    Act, AgentCertificate, AuditAction, AuditSubject, IdentityRefusal, IdentityRow, IdentityState,
    LetIn, TokenId,
};

/// How long after its end a certificate still renews without anybody's approval.
const GRACE_US: i64 = 90 * DAY_MICROS;

pub(super) const IDENTITY: &str = "SELECT i.agent, a.name, i.token, i.enrolled_us, i.building, b.prefix, i.state, \
     i.state_us, i.reason, i.late, i.off_site, i.serial, i.key_sha256, i.from_us, i.until_us, \
     i.next_serial, i.next_key_sha256, i.next_from_us, i.next_until_us, i.sessions \
     FROM identities i JOIN agents a ON a.id = i.agent \
     LEFT JOIN bindings b ON b.agent = i.agent AND b.valid_until_us IS NULL WHERE i.agent = ?1";
pub(super) const IDENTITIES: &str = "SELECT i.agent, a.name, i.token, i.enrolled_us, i.building, b.prefix, i.state, \
     i.state_us, i.reason, i.late, i.off_site, i.serial, i.key_sha256, i.from_us, i.until_us, \
     i.next_serial, i.next_key_sha256, i.next_from_us, i.next_until_us, i.sessions \
     FROM identities i JOIN agents a ON a.id = i.agent \
     LEFT JOIN bindings b ON b.agent = i.agent AND b.valid_until_us IS NULL \
     ORDER BY a.name, i.agent";
pub(super) const KEY_OWNER: &str = "SELECT agent FROM identities WHERE key_sha256 = ?1 \
     UNION ALL SELECT agent FROM identities WHERE next_key_sha256 = ?1";
pub(super) const PLACING: &str = "SELECT building, state FROM identities WHERE agent = ?1";

/// An identity, and the session of it that was confirmed last.
pub(super) struct Known {
    pub(super) row: IdentityRow,
    pub(super) confirmed: u64,
}

/// What a certificate is to the agent that shows it.
enum Match {
    Current,
    Next,
    /// Newer than all that is known: it was given after the backup that this store came from.
    Newer,
    Replaced,
}

impl Known {
    fn matches(&self, shown: &AgentCertificate) -> Match {
        let IdentityRow { certificate, next, .. } = &self.row;
        if same(certificate, shown) {
            return Match::Current;
        }
        if next.as_ref().is_some_and(|next| same(next, shown)) {
            return Match::Next;
        }
        let newest = next.map_or(certificate.from, |next| next.from.max(certificate.from));
        if shown.from > newest { Match::Newer } else { Match::Replaced }
    }

    /// Why it may not act, by its state alone.
    fn stands(&self) -> Result<(), IdentityRefusal> {
        match self.row.state {
            IdentityState::Active => Ok(()),
            IdentityState::Waiting => Err(IdentityRefusal::Waiting),
            IdentityState::Quarantined => Err(IdentityRefusal::Quarantined),
            IdentityState::Revoked => Err(IdentityRefusal::Revoked),
        }
    }
}

fn same(known: &AgentCertificate, shown: &AgentCertificate) -> bool {
    known.serial == shown.serial && known.key_sha256 == shown.key_sha256
}

pub(super) fn known(sql: &Connection, agent: AgentId) -> rusqlite::Result<Option<Known>> {
    sql.prepare_cached(IDENTITY)?.query_row([agent.to_bytes()], known_row).optional()
}

pub(super) fn identities(sql: &Connection) -> rusqlite::Result<Vec<IdentityRow>> {
    let rows = sql.prepare_cached(IDENTITIES)?.query_map([], known_row)?.collect();
    let rows: rusqlite::Result<Vec<Known>> = rows;
    Ok(rows?.into_iter().map(|known| known.row).collect())
}

/// Who has this key, or had it.
pub(super) fn key_owner(
    sql: &Connection,
    key_sha256: &[u8; 32],
) -> rusqlite::Result<Option<AgentId>> {
    sql.prepare_cached(KEY_OWNER)?
        .query_row([key_sha256], |row| id(row, 0, AgentId::from_u128))
        .optional()
}

pub(super) fn let_in(sql: &Connection, row: &IdentityRow) -> rusqlite::Result<LetIn> {
    let building = sql
        .prepare_cached("SELECT name FROM buildings WHERE id = ?1 AND valid_until_us IS NULL")?
        .query_row([row.building.to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(LetIn {
        agent: row.agent,
        state: row.state,
        building: building.unwrap_or_default(),
        subnet: row.subnet,
    })
}

/// What an agent is told of a certificate and a session that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    Refused(IdentityRefusal),
    /// Somebody else has, or had, this identity: the reason.
    Cloned(&'static str),
}

/// Decides; writes nothing.
pub(super) fn admission(
    sql: &Connection,
    agent: AgentId,
    shown: &AgentCertificate,
    session: Option<u64>,
    at: UtcMicros,
) -> rusqlite::Result<Admission> {
    let Some(known) = known(sql, agent)? else {
        return Ok(Admission::Refused(IdentityRefusal::Unknown));
    };
    if let Err(refusal) = known.stands() {
        return Ok(Admission::Refused(refusal));
    }
    let holds = (shown.from..shown.until).contains(&at);
    Ok(match known.matches(shown) {
        Match::Replaced => Admission::Cloned("a certificate that was replaced was shown"),
        Match::Current | Match::Next | Match::Newer if !holds => {
            Admission::Refused(IdentityRefusal::Expired)
        }
        Match::Current | Match::Next | Match::Newer => match session {
            Some(session) if session < known.confirmed => {
                Admission::Cloned("a session that was over was begun again")
            }
            Some(_) | None => Admission::Admitted,
        },
    })
}

/// Puts an active identity into quarantine; nothing happens to others.
pub(super) fn quarantine(
    sql: &Connection,
    agent: AgentId,
    reason: &str,
    by: &Act,
) -> rusqlite::Result<()> {
    let Some(known) = known(sql, agent)? else { return Ok(()) };
    if known.row.state != IdentityState::Active {
        return Ok(());
    }
    put_state(sql, agent, IdentityState::Quarantined, reason, by.at)?;
    let detail = format!("reason={reason:?}");
    audit::note(sql, by, AuditAction::AgentQuarantined, AuditSubject::Agent(agent), &detail)
}

pub(super) fn confirm(
    sql: &Connection,
    agent: AgentId,
    shown: &AgentCertificate,
    session: u64,
) -> rusqlite::Result<()> {
    let Some(known) = known(sql, agent)? else { return Ok(()) };
    if matches!(known.matches(shown), Match::Next | Match::Newer) {
        put_current(sql, agent, shown)?;
    }
    let session = i64::try_from(session).unwrap_or(i64::MAX);
    sql.prepare_cached("UPDATE identities SET sessions = max(sessions, ?2) WHERE agent = ?1")?
        .execute(params![agent.to_bytes(), session])?;
    Ok(())
}

pub(super) fn renew(
    sql: &Connection,
    agent: AgentId,
    shown: &AgentCertificate,
    next: &AgentCertificate,
    by: &Act,
) -> rusqlite::Result<Result<LetIn, IdentityRefusal>> {
    let Some(known) = known(sql, agent)? else { return Ok(Err(IdentityRefusal::Unknown)) };
    match known.stands() {
        Ok(()) | Err(IdentityRefusal::Waiting) => {}
        Err(refusal) => return Ok(Err(refusal)),
    }
    match known.matches(shown) {
        Match::Current | Match::Next => {}
        Match::Newer => put_current(sql, agent, shown)?,
        Match::Replaced => {
            quarantine(sql, agent, "a certificate that was replaced was shown", by)?;
            return Ok(Err(IdentityRefusal::Quarantined));
        }
    }
    let expired = shown.until <= by.at;
    if expired && next.key_sha256 != shown.key_sha256 {
        return Ok(Err(IdentityRefusal::Key));
    }
    if key_owner(sql, &next.key_sha256)?.is_some_and(|owner| owner != agent) {
        return Ok(Err(IdentityRefusal::Key));
    }
    if expired {
        note_late(sql, agent, shown, by)?;
    }
    sql.prepare_cached(
        "UPDATE identities SET next_serial = ?2, next_key_sha256 = ?3, next_from_us = ?4, \
         next_until_us = ?5 WHERE agent = ?1",
    )?
    .execute(params![
        agent.to_bytes(),
        next.serial,
        next.key_sha256,
        next.from.0,
        next.until.0
    ])?;
    let Some(known) = self::known(sql, agent)? else { return Ok(Err(IdentityRefusal::Unknown)) };
    Ok(Ok(let_in(sql, &known.row)?))
}

/// A certificate that had expired is renewed: within the grace that is told, later it needs approval.
fn note_late(
    sql: &Connection,
    agent: AgentId,
    shown: &AgentCertificate,
    by: &Act,
) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE identities SET late = 1 WHERE agent = ?1")?
        .execute([agent.to_bytes()])?;
    let over_us = by.at.0.saturating_sub(shown.until.0);
    if over_us > GRACE_US {
        put_state(sql, agent, IdentityState::Waiting, "away for more than 90 days", by.at)?;
    }
    let detail = format!("days={} waits={}", over_us / DAY_MICROS, over_us > GRACE_US);
    audit::note(sql, by, AuditAction::AgentLate, AuditSubject::Agent(agent), &detail)
}

/// What can be said of an attempt to change an identity's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Done,
    NoSuchIdentity,
    Revoked,
}

pub(super) fn approve(sql: &Connection, agent: AgentId, by: &Act) -> rusqlite::Result<Changed> {
    let Some(known) = known(sql, agent)? else { return Ok(Changed::NoSuchIdentity) };
    let before = known.row.state;
    if before == IdentityState::Revoked {
        return Ok(Changed::Revoked);
    }
    if before == IdentityState::Active && !known.row.late {
        return Ok(Changed::Done);
    }
    if before != IdentityState::Active {
        put_state(sql, agent, IdentityState::Active, "", by.at)?;
    }
    // Whichever holder comes first goes on.
    let sessions = if before == IdentityState::Quarantined { 0 } else { known.confirmed };
    sql.prepare_cached("UPDATE identities SET late = 0, sessions = ?2 WHERE agent = ?1")?
        .execute(params![agent.to_bytes(), i64::try_from(sessions).unwrap_or(i64::MAX)])?;
    let detail = format!("was={}", before.as_str());
    audit::note(sql, by, AuditAction::AgentApproved, AuditSubject::Agent(agent), &detail)?;
    Ok(Changed::Done)
}

pub(super) fn approve_building(
    sql: &Connection,
    building: BuildingId,
    by: &Act,
) -> rusqlite::Result<Vec<AgentId>> {
    let waiting: Vec<AgentId> = sql
        .prepare_cached(
            "SELECT agent FROM identities WHERE building = ?1 AND state = 'waiting' ORDER BY agent",
        )?
        .query_map([building.to_bytes()], |row| id(row, 0, AgentId::from_u128))?
        .collect::<rusqlite::Result<_>>()?;
    for &agent in &waiting {
        approve(sql, agent, by)?;
    }
    Ok(waiting)
}

pub(super) fn revoke(
    sql: &Connection,
    agent: AgentId,
    reason: &str,
    by: &Act,
) -> rusqlite::Result<Changed> {
    let Some(known) = known(sql, agent)? else { return Ok(Changed::NoSuchIdentity) };
    if known.row.state == IdentityState::Revoked {
        return Ok(Changed::Done);
    }
    put_state(sql, agent, IdentityState::Revoked, reason, by.at)?;
    place::end(sql, agent, by.at)?;
    let detail = format!("was={}", known.row.state.as_str());
    audit::note(sql, by, AuditAction::AgentRevoked, AuditSubject::Agent(agent), &detail)?;
    Ok(Changed::Done)
}

/// Whether an agent may be placed, and the building that it must be in, if it has an identity.
pub(super) fn placing(
    sql: &Connection,
    agent: AgentId,
) -> rusqlite::Result<Option<(BuildingId, IdentityState)>> {
    sql.prepare_cached(PLACING)?
        .query_row([agent.to_bytes()], |row| {
            Ok((id(row, 0, BuildingId::from_u128)?, parsed(row, 1)?))
        })
        .optional()
}

/// An operator bound an agent to another subnet: that one's building is what it is enrolled for now.
pub(super) fn move_to(
    sql: &Connection,
    agent: AgentId,
    prefix: IpNet,
    egress: Option<IpNet>,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE identities SET building = coalesce((SELECT building FROM subnets WHERE prefix = ?2 \
         AND coalesce(egress, '') = ?3 AND valid_until_us IS NULL), building) WHERE agent = ?1",
    )?
    .execute(params![
        agent.to_bytes(),
        prefix.to_string(),
        egress.map(|egress| egress.to_string()).unwrap_or_default()
    ])?;
    Ok(())
}

/// Notes whether an agent's addresses contradict its enrolment.
pub(super) fn put_off_site(
    sql: &Connection,
    agent: AgentId,
    off_site: bool,
) -> rusqlite::Result<()> {
    sql.prepare_cached("UPDATE identities SET off_site = ?2 WHERE agent = ?1 AND off_site <> ?2")?
        .execute(params![agent.to_bytes(), off_site])?;
    Ok(())
}

fn put_state(
    sql: &Connection,
    agent: AgentId,
    state: IdentityState,
    reason: &str,
    since: UtcMicros,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE identities SET state = ?2, reason = ?3, state_us = ?4 WHERE agent = ?1",
    )?
    .execute(params![agent.to_bytes(), state.as_str(), reason, since.0])?;
    Ok(())
}

/// Makes a certificate the current one; the others are void.
pub(super) fn put_current(
    sql: &Connection,
    agent: AgentId,
    certificate: &AgentCertificate,
) -> rusqlite::Result<()> {
    sql.prepare_cached(
        "UPDATE identities SET serial = ?2, key_sha256 = ?3, from_us = ?4, until_us = ?5, \
         next_serial = NULL, next_key_sha256 = NULL, next_from_us = NULL, next_until_us = NULL \
         WHERE agent = ?1",
    )?
    .execute(params![
        agent.to_bytes(),
        certificate.serial,
        certificate.key_sha256,
        certificate.from.0,
        certificate.until.0
    ])?;
    Ok(())
}

fn known_row(row: &Row<'_>) -> rusqlite::Result<Known> {
    let next = match row.get::<_, Option<[u8; 16]>>(15)? {
        Some(serial) => Some(certificate(row, serial, 16)?),
        None => None,
    };
    let row_of = IdentityRow {
        agent: id(row, 0, AgentId::from_u128)?,
        name: row.get(1)?,
        token: TokenId::from_bits(row.get::<_, i64>(2)?.cast_unsigned()),
        enrolled: UtcMicros(row.get(3)?),
        building: id(row, 4, BuildingId::from_u128)?,
        subnet: parsed_option(row, 5)?,
        state: parsed(row, 6)?,
        since: UtcMicros(row.get(7)?),
        reason: row.get(8)?,
        late: row.get(9)?,
        off_site: row.get(10)?,
        certificate: certificate(row, row.get(11)?, 12)?,
        next,
    };
    let confirmed = u64::try_from(row.get::<_, i64>(19)?).unwrap_or_default();
    Ok(Known { row: row_of, confirmed })
}

fn certificate(row: &Row<'_>, serial: [u8; 16], at: usize) -> rusqlite::Result<AgentCertificate> {
    Ok(AgentCertificate {
        serial,
        key_sha256: row.get(at)?,
        from: UtcMicros(row.get(at + 1)?),
        until: UtcMicros(row.get(at + 2)?),
    })
}
