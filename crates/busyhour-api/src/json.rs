//! The JSON API under `/api/v1`: arrays of flat objects in an envelope, units in the names.

pub(crate) mod acts;
pub(crate) mod agents;
pub(crate) mod api_tokens;
pub(crate) mod assignments;
pub(crate) mod audit;
pub(crate) mod buildings;
pub(crate) mod channels;
pub(crate) mod configurations;
pub(crate) mod csv;
pub(crate) mod estimate;
pub(crate) mod evidence;
pub(crate) mod explain;
mod figures;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod hours;
pub(crate) mod identities;
pub(crate) mod incidents;
pub(crate) mod inventory;
pub(crate) mod listing;
pub(crate) mod loads;
pub(crate) mod owners;
pub(crate) mod paths;
pub(crate) mod people;
pub(crate) mod periods;
pub(crate) mod places;
pub(crate) mod quiet;
pub(crate) mod reports;
pub(crate) mod session;
pub(crate) mod span;
pub(crate) mod status;
pub(crate) mod streams;
pub(crate) mod targets;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod users;
mod when;

use std::str::FromStr;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use schemars::JsonSchema;
use serde::Serialize;

use self::figures::Figures;
use self::listing::{Listing, items};
use crate::problem::Problem;

/// The version of every answer's shape. A field may be added within it; none is removed or changed.
const SCHEMA_VERSION: u32 = 1;

/// What a single answer comes in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Single<T> {
    schema_version: u32,
    #[serde(flatten)]
    item: T,
}

pub(crate) type Items<T> = Result<Listing<T>, Problem>;

fn single<T>(item: T) -> Json<Single<T>> {
    Json(Single { schema_version: SCHEMA_VERSION, item })
}

/// The query's parameters, or what is wrong with them.
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(parameters)| parameters)
        .map_err(|rejection| Problem::rejected(rejection.status(), rejection.body_text()))
}

/// The body, or what is wrong with it.
fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body)
        .map_err(|rejection| Problem::rejected(rejection.status(), rejection.body_text()))
}

/// A body that has a secret in it: what is wrong with it is told without saying it.
fn secret_body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|rejection| {
        let detail = "the body is not what this address takes".to_owned();
        Problem::rejected(rejection.status(), detail)
    })
}

/// A parameter that is a word, a number, an identity, a date.
pub(crate) fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{name} cannot be {text:?}")))
}
