//! The inventory of another time: versions of the building file, and what was in force when.

use busyhour_model::UtcMicros;
use busyhour_store::{FileVersion, InventoryAt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::View;
use super::paths::moment;
use super::{Items, items};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::ScopedControl;
use crate::text;

/// How far back a version is looked for.
const MAX_VERSIONS: usize = 10_000;

/// A version of the building file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileItem {
    version: u32,
    imported_utc: String,
    from_utc: String,
    until_utc: Option<String>,
    /// Who imported it; null when that is older than the audit is kept.
    actor: Option<String>,
    /// Of the building file followed by the companion table, as they are exported.
    sha256: String,
    buildings: u32,
    subnets: u32,
}

/// Versions of the building file, newest first.
pub(crate) async fn files(app: App, view: View) -> Items<FileItem> {
    let reach = view.reach()?;
    let files = app.with_store(move |services| Ok(services.control.building_files(reach)?));
    let item = |file: FileVersion| FileItem {
        version: file.number,
        imported_utc: text::utc(file.imported),
        from_utc: text::utc(file.from),
        until_utc: file.until.map(text::utc),
        actor: file.actor,
        sha256: file.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        buildings: file.buildings,
        subnets: file.subnets,
    };
    Ok(items(files.await?.into_iter().map(item).collect()))
}

/// Of when the inventory is asked for; of now when neither is told.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AsOfQuery {
    at: Option<String>,
    version: Option<u32>,
}

/// Of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsOf {
    Now,
    Moment(UtcMicros),
    Version(u32),
}

impl AsOf {
    pub(crate) fn of(query: &AsOfQuery) -> Result<Self, Problem> {
        match (moment("at", query.at.as_deref())?, query.version) {
            (None, None) => Ok(Self::Now),
            (Some(at), None) => Ok(Self::Moment(at)),
            (None, Some(version)) => Ok(Self::Version(version)),
            (Some(_), Some(_)) => Err(Problem::bad_request("say either at or version")),
        }
    }

    pub(crate) fn inventory(
        self,
        control: &ScopedControl,
        now: UtcMicros,
    ) -> Result<InventoryAt, Problem> {
        let at = match self {
            Self::Moment(at) => at,
            Self::Version(version) => begin_of(control, version)?,
            // The newest may begin a little after now, when the clock went back.
            Self::Now => {
                let newest = control.building_files(1)?;
                newest.first().map_or(now, |newest| newest.from.max(now))
            }
        };
        Ok(control.inventory_at(at)?)
    }
}

/// When a version began to be in force.
fn begin_of(control: &ScopedControl, version: u32) -> Result<UtcMicros, Problem> {
    let files = control.building_files(MAX_VERSIONS)?;
    let Some(file) = files.iter().find(|file| file.number == version) else {
        let detail = format!("there is no version {version} of the building file (any more)");
        return Err(Problem::not_found(detail));
    };
    if file.until.is_some_and(|until| until <= file.from) {
        let detail = format!("version {version} was replaced at once and never in force");
        return Err(Problem::not_found(detail));
    }
    Ok(file.from)
}
