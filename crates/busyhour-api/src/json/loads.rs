//! Load that people import: what their own records say of how much goes on in buildings.

use std::collections::HashSet;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use busyhour_model::load_file;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::inventory::told;
use super::{Single, body, single};
use crate::app::App;
use crate::problem::Problem;

/// A table of load to be kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// The table's text.
    file: String,
    /// Check only, change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Imported {
    imported: bool,
    /// Rows with a load.
    rows: usize,
    buildings: usize,
    /// Local days of buildings.
    days: usize,
    findings: Vec<Value>,
}

/// Checks a table of load and keeps it, or says what is wrong and changes nothing.
pub(crate) async fn import(
    app: App,
    request: Result<Json<Import>, JsonRejection>,
) -> Result<Json<Single<Imported>>, Problem> {
    let request = body(request)?;
    let imported = app.with_store(move |services| {
        let (control, now) = (&services.control, (services.clock)());
        let parsed = load_file::parse(&request.file, &control.buildings()?, now);
        if parsed.has_errors() {
            let detail = "the load table has errors and nothing was changed";
            return Err(Problem::unprocessable(detail, told(&parsed.findings)));
        }
        if !request.dry_run && !parsed.loads.is_empty() {
            control.import_loads(&parsed.loads, &services.act(now))?;
        }
        let buildings: HashSet<_> = parsed.loads.iter().map(|load| load.building).collect();
        Ok(Imported {
            imported: !request.dry_run,
            rows: parsed.rows,
            buildings: buildings.len(),
            days: parsed.loads.len(),
            findings: told(&parsed.findings),
        })
    });
    Ok(single(imported.await?))
}
