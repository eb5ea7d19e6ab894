//! Who answers for which cause, in a region or in all.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use busyhour_model::Cause;
use busyhour_model::desk::{OwnerRow, ShortRemark};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::acts::{owner, written};
use super::{Items, body, items, parsed, query};
use crate::app::App;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// A row of the table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OwnerItem {
    /// Null for whatever has no owner of its own.
    cause: Option<&'static str>,
    /// Null for all regions.
    region: Option<String>,
    name: String,
    contact: Option<String>,
    since_utc: String,
    by: String,
}

impl OwnerItem {
    fn new(row: &OwnerRow) -> Self {
        Self {
            cause: row.cause.map(Cause::as_str),
            region: row.region.as_ref().map(ToString::to_string),
            name: row.owner.name.to_string(),
            contact: row.owner.contact.as_ref().map(ToString::to_string),
            since_utc: text::utc(row.at),
            by: row.by.clone(),
        }
    }
}

/// The table, by cause and region.
pub(crate) async fn list(app: App) -> Items<OwnerItem> {
    app.with_store(table).await
}

fn table(services: &Scoped) -> Items<OwnerItem> {
    Ok(items(services.desk.owners()?.iter().map(OwnerItem::new).collect()))
}

/// What a row is for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Key {
    cause: Option<String>,
    region: Option<String>,
}

impl Key {
    fn read(&self) -> Result<(Option<Cause>, Option<ShortRemark>), Problem> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let cause = said(&self.cause).map(|cause| parsed("cause", &cause)).transpose()?;
        let region = said(&self.region).map(|region| written("region", &region)).transpose()?;
        Ok((cause, region))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    cause: Option<String>,
    region: Option<String>,
    name: String,
    contact: Option<String>,
}

/// Says who answers for a cause in a region; gives the table.
pub(crate) async fn set(app: App, request: Result<Json<Set>, JsonRejection>) -> Items<OwnerItem> {
    let Set { cause, region, name, contact } = body(request)?;
    let (cause, region) = Key { cause, region }.read()?;
    let owner = owner(&name, contact.as_deref())?;
    let by = app.act();
    app.with_store(move |services| {
        services.desk.whole()?.set_owner((cause, region.as_ref()), &owner, &by)??;
        table(services)
    })
    .await
}

/// Takes that back; gives the table.
pub(crate) async fn remove(
    app: App,
    parameters: Result<Query<Key>, QueryRejection>,
) -> Items<OwnerItem> {
    let (cause, region) = query(parameters)?.read()?;
    let by = app.act();
    app.with_store(move |services| {
        if services.desk.whole()?.remove_owner((cause, region.as_ref()), &by)? {
            return table(services);
        }
        Err(Problem::not_found("nobody answers for that"))
    })
    .await
}
