//! The contract of configurations on SQLite.

use busyhour_model::AgentId;

use super::{SqliteControl, configuration, unknown};
use crate::{
    Act, AssignmentScope, ComparedClock, ConfigurationRow, Configurations, DesiredState, ErrorKind,
    Label, ReportRow, StoreError,
};

impl Configurations for SqliteControl {
    fn add_configuration(
        &self,
        name: &str,
        body: &[u8],
        by: &Act,
    ) -> Result<(u32, bool), StoreError> {
        self.database.write("make a configuration", |sql| configuration::add(sql, name, body, by))
    }

    fn configurations(&self, limit: usize) -> Result<Vec<ConfigurationRow>, StoreError> {
        self.database.read("read configurations", |sql| configuration::newest(sql, limit))
    }

    fn configuration(&self, revision: u32) -> Result<Option<ConfigurationRow>, StoreError> {
        self.database.read("read a configuration", |sql| configuration::one(sql, revision))
    }

    fn assign_configuration(
        &self,
        scope: &AssignmentScope,
        revision: Option<u32>,
        by: &Act,
    ) -> Result<(), StoreError> {
        let assign =
            |sql: &rusqlite::Transaction<'_>| configuration::assign(sql, scope, revision, by);
        if self.database.write("assign a configuration", assign)? {
            return Ok(());
        }
        let operation = format!("assign revision {}, which is none", revision.unwrap_or_default());
        Err(StoreError::new(operation, ErrorKind::NotFound))
    }

    fn label_agent(&self, agent: AgentId, labels: &[Label], by: &Act) -> Result<(), StoreError> {
        let label = |sql: &rusqlite::Transaction<'_>| configuration::label(sql, agent, labels, by);
        let known = self.database.write("label an agent", label)?;
        if known { Ok(()) } else { Err(unknown("label", agent)) }
    }

    fn note_reports(&self, reports: &[ReportRow]) -> Result<(), StoreError> {
        self.database.write("note what agents run", |sql| {
            reports.iter().try_for_each(|row| configuration::report(sql, row))
        })
    }

    fn note_clocks(&self, clocks: &[(AgentId, ComparedClock)]) -> Result<(), StoreError> {
        self.database.write("note agents' clocks", |sql| {
            clocks.iter().try_for_each(|(agent, clock)| configuration::clock(sql, *agent, *clock))
        })
    }

    fn desired(&self) -> Result<DesiredState, StoreError> {
        self.database.read("read what is desired", |sql| configuration::desired(sql))
    }
}
