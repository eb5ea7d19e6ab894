//! The contract of people's acts on SQLite.

use busyhour_model::desk::{
    Deed, IncidentAct, Overlay, Owner, OwnerRow, Places, Quiet, Remark, ShortRemark,
};
use busyhour_model::{Cause, IncidentId, UtcMicros};
use rusqlite::{Connection, Transaction};

use super::{SqliteControl, acts, inventory, owners, quiet, tasks};
use crate::{Act, Desk, Desked, NewQuiet, SignOff, StoreError, TaskWord, Worsened};

impl Desk for SqliteControl {
    fn act(&self, incident: IncidentId, deed: &Deed, by: &Act) -> Desked<IncidentAct> {
        self.database.write("act on an incident", |sql| acts::act(sql, incident, deed, by))
    }

    fn acts(&self, incident: IncidentId) -> Result<Vec<IncidentAct>, StoreError> {
        self.database.read("read acts on an incident", |sql| acts::of_incident(sql, incident))
    }

    fn owners(&self) -> Result<Vec<OwnerRow>, StoreError> {
        self.database.read("read owners", |sql| owners::owners(sql))
    }

    fn set_owner(
        &self,
        key: (Option<Cause>, Option<&ShortRemark>),
        owner: &Owner,
        by: &Act,
    ) -> Desked<()> {
        self.database.write("set an owner", |sql| owners::set(sql, key, owner, by))
    }

    fn remove_owner(
        &self,
        key: (Option<Cause>, Option<&ShortRemark>),
        by: &Act,
    ) -> Result<bool, StoreError> {
        self.database.write("remove an owner", |sql| owners::remove(sql, key, by))
    }

    fn quiets(&self, from: UtcMicros) -> Result<Vec<Quiet>, StoreError> {
        self.database.read("read quiet times", |sql| quiet::quiets(sql, from))
    }

    fn add_quiet(&self, new: &NewQuiet, by: &Act) -> Desked<Quiet> {
        self.database.write("make a quiet time", |sql| quiet::add(sql, new, by))
    }

    fn end_quiet(&self, number: u64, by: &Act) -> Desked<Quiet> {
        self.database.write("end a quiet time", |sql| quiet::end(sql, number, by))
    }

    fn overlay(&self, from: UtcMicros) -> Result<Overlay, StoreError> {
        self.database.read("read what people did", |sql| overlay(sql, from))
    }

    fn turn_quiets(&self, now: UtcMicros) -> Result<Vec<Worsened>, StoreError> {
        let turn = |sql: &Transaction<'_>| quiet::turn(sql, now);
        self.database.write("turn quiet times", turn)
    }

    fn sign_off(
        &self,
        what: (&TaskWord, &TaskWord),
        note: Option<&Remark>,
        by: &Act,
    ) -> Desked<SignOff> {
        self.database.write("sign a task off", |sql| tasks::sign_off(sql, what, note, by))
    }

    fn sign_offs(&self, limit: usize) -> Result<Vec<SignOff>, StoreError> {
        self.database.read("read sign-offs", |sql| tasks::sign_offs(sql, limit))
    }
}

/// How incidents stand with people, with the quiet times that end at `from` or later.
pub(super) fn overlay(sql: &Connection, from: UtcMicros) -> rusqlite::Result<Overlay> {
    let places = Places::new(&inventory::buildings(sql)?);
    let acts = acts::standing(sql)?;
    Ok(Overlay::new(&acts, owners::owners(sql)?, quiet::quiets(sql, from)?, places))
}
